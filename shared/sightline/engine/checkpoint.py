"""A training that stopped, as one file: whoever loads it goes on as if nothing had happened.

Weights and optimiser state are the tensors of a ``.safetensors`` file; everything else is JSON in its header.  One file
is replaced as a whole, so that a kill at any moment leaves the old checkpoint or the new one.  Neither sampler nor
schedule nor random generator have a state to keep: they are functions of the iteration.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from sightline.errors import StepError
from sightline.models.model_file import write_tensors

METADATA_KEY = "sightline-checkpoint"
_STEP, _MEAN, _SQUARE = "step", "exp_avg", "exp_avg_sq"


@dataclass(slots=True)
class Progress:
    """How far a training is.

    Attributes:
        iteration: Iterations done.
        seconds: Spent on them, all sessions together.
        best_iteration: Of the best weights so far; 0 before the first validation.
        best_metrics: Their metrics on the val split.
        history: A record for every logged iteration.
    """

    iteration: int = 0
    seconds: float = 0.0
    best_iteration: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def record(self, values: dict[str, float]) -> None:
        """Add values of the present iteration to the history."""
        if self.history and self.history[-1]["iteration"] == self.iteration:
            self.history[-1].update(values)
        else:
            self.history.append({"iteration": self.iteration, **values})


def save_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
    """Write a checkpoint in the place of the one before."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for kind, tensor in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser.{name}.{kind}"] = tensor
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_tensors(path, tensors, {METADATA_KEY: json.dumps(asdict(progress))})


def load_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> Progress:
    """Put the weights and the optimiser state of a checkpoint in their places.

    Raises:
        StepError: The file is damaged, or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            progress = Progress(**json.loads(file.metadata()[METADATA_KEY]))
        network.load_state_dict(_part(tensors, "network."))
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                state = _part(tensors, f"optimiser.{name}.")
                optimiser.state[parameter] = {
                    _STEP: state[_STEP].to(parameter.device),
                    _MEAN: state[_MEAN].to(parameter.device),
                    _SQUARE: state[_SQUARE].to(parameter.device),
                }
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise StepError(
            f"the checkpoint {path} cannot be used ({error}); remove the folder {path.parent} to train from the start"
        ) from error
    return progress


def _part(tensors: dict[str, Any], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
