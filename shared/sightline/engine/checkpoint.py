"""A training that stopped, as one file: whoever loads it goes on as if nothing had happened.

Weights and optimiser state are the tensors of a ``.safetensors`` file; everything else is JSON in its header.  One file
is replaced as a whole, so that a kill at any moment leaves the old checkpoint or the new one.  Neither sampler nor
schedule nor random generator have a state to keep: they are functions of the iteration.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sightline import strict_json
from sightline.errors import StepError
from sightline.models.model_file import write_tensors
from sightline.models.safetensors_header import read_header

METADATA_KEY = "sightline-checkpoint"
_ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")
_DAMAGES = (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError)


@dataclass(slots=True)
class TrainingState:
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


def save_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, state: TrainingState) -> None:
    """Write a checkpoint in the place of the one before."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for kind, tensor in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser.{name}.{kind}"] = tensor
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_tensors(path, tensors, {METADATA_KEY: json.dumps(asdict(state))})


def read_state(path: Path) -> TrainingState:
    """How far the training of a checkpoint is; the beginning where there is no checkpoint.

    Raises:
        StepError: The file is damaged.
    """
    if not path.exists():
        return TrainingState()
    try:
        return TrainingState(**strict_json.decode(read_header(path).metadata[METADATA_KEY]))
    except _DAMAGES as error:
        raise _unusable(path, error) from error


def load_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> TrainingState:
    """Put the weights and the optimiser state of a checkpoint in their places; without one, change nothing.

    Raises:
        StepError: The file is damaged, or belongs to another network.
    """
    state = read_state(path)
    if not path.exists():
        return state
    try:
        tensors = load_file(path)
        network.load_state_dict(_part(tensors, "network."))
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                moments = _part(tensors, f"optimiser.{name}.")
                optimiser.state[parameter] = {kind: moments[kind].to(parameter.device) for kind in _ADAM_STATE}
    except _DAMAGES as error:
        raise _unusable(path, error) from error
    return state


def _unusable(path: Path, error: Exception) -> StepError:
    return StepError(
        f"the checkpoint {path} cannot be used ({error}); remove the folder {path.parent} to train from the start"
    )


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
