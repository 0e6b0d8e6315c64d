"""A training that stopped, as one file: whoever loads it goes on as if nothing had happened.

Weights and optimiser state are the tensors of a ``.safetensors`` file; so is the history, as the bytes of its JSON,
because a header has a limit and a history has none.  The few other values are JSON in the header.  One file is replaced
as a whole, so that a kill at any moment leaves the old checkpoint or the new one.  Neither sampler nor schedule nor
random generator have a state to keep: they are functions of the iteration.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from sightline import strict_json
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import StepError
from sightline.models.model_file import write_tensors
from sightline.models.safetensors_file import read_metadata

METADATA_KEY = "sightline-checkpoint"
_HISTORY = "history.json"
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


def _with_history_in_the_header(header: dict[str, Any]) -> dict[str, Any]:
    """Format 1; from format 2 on the history is a tensor."""
    if not isinstance(header["history"], list):
        raise TypeError("history is not a list")
    return header


CHECKPOINT = DocumentKind("checkpoint", TrainingState, upgrades=(_with_history_in_the_header,))


def save_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, state: TrainingState) -> None:
    """Write a checkpoint in the place of the one before.

    A parameter without optimiser state (it is frozen, or has had no gradient yet) is written without one.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for kind, tensor in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser.{name}.{kind}"] = tensor
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    tensors[_HISTORY] = torch.frombuffer(bytearray(json.dumps(state.history).encode()), dtype=torch.uint8)
    header = {entry.name: getattr(state, entry.name) for entry in fields(state) if entry.name != "history"}
    write_tensors(path, tensors, {METADATA_KEY: json.dumps({"format": CHECKPOINT.format, **header})})


def read_state(path: Path) -> TrainingState:
    """How far the training of a checkpoint is; the beginning where there is no checkpoint.

    Raises:
        StepError: The file is damaged, or was written by a later version of Sightline.
    """
    if not path.exists():
        return TrainingState()
    try:
        document = CHECKPOINT.upgrade(strict_json.decode(read_metadata(path)[METADATA_KEY]))
        history = document.pop("history", None)
        if history is None:
            with safe_open(path, "pt") as file:
                history = strict_json.decode(file.get_tensor(_HISTORY).numpy().tobytes())
        if not isinstance(history, list):
            raise DocumentError("history: expected a list")
        return replace(CHECKPOINT.decode_value(document), history=history)
    except _DAMAGES as error:
        raise _unusable(path, error) from error


def load_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> TrainingState:
    """Put the weights and the optimiser state of a checkpoint in their places; without one, change nothing.

    A parameter without optimiser state in the checkpoint begins with none, as it did in the training that stopped.

    Raises:
        StepError: The file is damaged, or belongs to another network.
    """
    state = read_state(path)
    if not path.exists():
        return state
    try:
        tensors = load_file(path)
        network.load_state_dict(
            {name.removeprefix("network."): tensor for name, tensor in tensors.items() if name.startswith("network.")}
        )
        for name, parameter in network.named_parameters():
            moments = {kind: tensors.get(f"optimiser.{name}.{kind}") for kind in _ADAM_STATE}
            if not parameter.requires_grad or all(moment is None for moment in moments.values()):
                continue
            optimiser.state[parameter] = {kind: _on(parameter, name, kind, moment) for kind, moment in moments.items()}
    except _DAMAGES as error:
        raise _unusable(path, error) from error
    return state


def _on(parameter: nn.Parameter, name: str, kind: str, moment: torch.Tensor | None) -> torch.Tensor:
    """A part of a parameter's optimiser state, on its device."""
    if moment is None:
        raise ValueError(f"the optimiser state of {name} has no {kind}")
    return moment.to(parameter.device)


def _unusable(path: Path, error: Exception) -> StepError:
    remedy = f"remove the folder {path.parent} to train from the start"
    if isinstance(error, DocumentError):
        remedy = error.remedy(remedy)
    return StepError(f"the checkpoint {path} cannot be used ({error}); {remedy}")
