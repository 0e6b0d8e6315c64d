"""Checkpoints: the state of a training in one file; a resumed training continues as if it had not been interrupted.

Weights and optimizer state are tensors of a ``.safetensors`` file.  So is the history, as the bytes of its JSON,
because the header has a size limit and the history does not.  The few other values are JSON in the header.  The file
is replaced atomically, so that a process killed at any time leaves either the old or the new checkpoint.  Sampler,
learning-rate schedule and random generator have no state to save, because they are functions of the iteration.
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
    """The progress of a training.

    Attributes:
        iteration: Number of completed iterations.
        seconds: Time spent on them in all sessions.
        best_iteration: Iteration of the best weights so far; 0 before the first validation.
        best_metrics: Metrics of the best weights on the val split.
        history: One record per logged iteration.
    """

    iteration: int = 0
    seconds: float = 0.0
    best_iteration: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def record(self, values: dict[str, float]) -> None:
        """Add values of the current iteration to the history."""
        if self.history and self.history[-1]["iteration"] == self.iteration:
            self.history[-1].update(values)
        else:
            self.history.append({"iteration": self.iteration, **values})


def _with_history_in_the_header(header: dict[str, Any]) -> dict[str, Any]:
    """Format 1, with the history in the header; since format 2 it is a tensor."""
    if not isinstance(header["history"], list):
        raise TypeError("history is not a list")
    return header


CHECKPOINT = DocumentKind("checkpoint", TrainingState, upgrades=(_with_history_in_the_header,))


def save_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
    """Write a checkpoint, replacing the previous one.

    Parameters without optimizer state (frozen, or without a gradient so far) are written without it.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for kind, tensor in optimizer.state.get(parameter, {}).items():
            tensors[f"optimiser.{name}.{kind}"] = tensor
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    tensors[_HISTORY] = torch.frombuffer(bytearray(json.dumps(state.history).encode()), dtype=torch.uint8)
    header = {entry.name: getattr(state, entry.name) for entry in fields(state) if entry.name != "history"}
    write_tensors(path, tensors, {METADATA_KEY: json.dumps({"format": CHECKPOINT.format, **header})})


def read_state(path: Path) -> TrainingState:
    """The progress stored in a checkpoint; the initial state if there is no checkpoint.

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


def load_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
    """Load weights and optimizer state from a checkpoint; if there is none, change nothing.

    Parameters without optimizer state in the checkpoint have none afterwards, as in the interrupted training.

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
            optimizer.state[parameter] = {kind: _on(parameter, name, kind, moment) for kind, moment in moments.items()}
    except _DAMAGES as error:
        raise _unusable(path, error) from error
    return state


def _on(parameter: nn.Parameter, name: str, kind: str, moment: torch.Tensor | None) -> torch.Tensor:
    """A tensor of a parameter's optimizer state, on the device of the parameter."""
    if moment is None:
        raise ValueError(f"the optimizer state of {name} has no {kind}")
    return moment.to(parameter.device)


def _unusable(path: Path, error: Exception) -> StepError:
    remedy = f"remove the folder {path.parent} to train from scratch"
    if isinstance(error, DocumentError):
        remedy = error.remedy(remedy)
    return StepError(f"cannot use the checkpoint {path} ({error}); {remedy}")
