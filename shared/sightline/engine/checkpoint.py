"""The file of a checkpoint: the state of a training.  A resumed training continues as if it had not been interrupted.

Weights, optimizer state and tensors of hooks are tensors of a ``.safetensors`` file.  So is the history, as the bytes
of its JSON, because the header has a size limit and the history does not.  The few other values are JSON in the header.
Order of the images, learning-rate schedule and random generators have no state to save, because they are functions of
the iteration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from sightline import strict_json
from sightline.documents import DocumentError, DocumentKind
from sightline.engine.state import Training, TrainingState
from sightline.errors import StepError
from sightline.models.model_file import write_tensors
from sightline.models.safetensors_file import read_metadata

METADATA_KEY = "sightline-checkpoint"
_HISTORY = "history.json"
_NETWORK, _OPTIMIZER, _HOOK = "network.", "optimiser.", "hook."
_EXTRA = ("optimizer", "precision", "hooks", "micro_batch")
"""Values in the header besides the state: numbers of the optimizer, of the loss scale and of hooks."""

_DAMAGES = (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError)


def _with_history_in_the_header(header: dict[str, Any]) -> dict[str, Any]:
    """Format 1, with the history in the header; since format 2 it is a tensor."""
    if not isinstance(header["history"], list):
        raise TypeError("history is not a list")
    return header


CHECKPOINT = DocumentKind("checkpoint", TrainingState, upgrades=(_with_history_in_the_header,))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a training's state that later iterations do not change.

    Attributes:
        iteration: Its iteration.
        tensors: Name -> tensor on the CPU.
        header: The JSON values for the header.
    """

    iteration: int
    tensors: dict[str, torch.Tensor]
    header: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the file, replacing an existing one atomically."""
        write_tensors(path, self.tensors, {METADATA_KEY: json.dumps(self.header)})


def take_snapshot(training: Training, hooks: Mapping[str, Mapping[str, Any]]) -> Snapshot:
    """Copy the state of a training.

    Args:
        training: The training.
        hooks: States of its hooks, by name.
    """
    tensors = {f"{_NETWORK}{name}": tensor for name, tensor in training.network.state_dict().items()}
    numbers: dict[str, dict[str, Any]] = {}
    for name, parameter in training.network.named_parameters():
        for kind, value in training.optimizer.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):
                tensors[f"{_OPTIMIZER}{name}.{kind}"] = value
            else:
                numbers.setdefault(name, {})[kind] = value
    values: dict[str, dict[str, Any]] = {}
    for hook, state in hooks.items():
        tensors |= {f"{_HOOK}{hook}.{key}": value for key, value in state.items() if isinstance(value, torch.Tensor)}
        values[hook] = {key: value for key, value in state.items() if not isinstance(value, torch.Tensor)}
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    copies[_HISTORY] = torch.frombuffer(bytearray(json.dumps(training.state.history).encode()), dtype=torch.uint8)
    extra = {"optimizer": numbers, "precision": training.precision.state_dict(), "hooks": values}
    document = CHECKPOINT.encode(replace(training.state, history=[]))
    del document["history"]
    return Snapshot(training.state.iteration, copies, document | extra | {"micro_batch": training.micro_batch})


def read_state(path: Path) -> TrainingState:
    """The progress stored in a checkpoint; the initial state if there is no checkpoint.

    Raises:
        StepError: The file is damaged, or was written by a later version of Sightline.
    """
    if not path.exists():
        return TrainingState()
    try:
        return _decoded(path, _header(path))
    except _DAMAGES as error:
        raise unusable(path, error) from error


def load_checkpoint(path: Path, training: Training) -> dict[str, dict[str, Any]]:
    """Restore a training from a checkpoint.

    Parameters without optimizer state in the checkpoint have none afterwards, as in the interrupted training.

    Returns:
        The states of its hooks, by name.

    Raises:
        StepError: The file is damaged, or belongs to another network.
    """
    try:
        header = _header(path)
        state = _decoded(path, header)
        tensors = load_file(path)
        training.network.load_state_dict(_below(tensors, _NETWORK))
        _restore_optimizer(
            training.network, training.optimizer, _below(tensors, _OPTIMIZER), header.get("optimizer", {})
        )
        training.precision.load_state_dict(header.get("precision", {}))
        hooks: dict[str, dict[str, Any]] = header.get("hooks", {})
        for hook in hooks:
            hooks[hook] |= _below(tensors, f"{_HOOK}{hook}.")
    except _DAMAGES as error:
        raise unusable(path, error) from error
    training.state = state
    training.micro_batch = header.get("micro_batch", training.micro_batch)
    return hooks


def _header(path: Path) -> dict[str, Any]:
    return CHECKPOINT.upgrade(strict_json.decode(read_metadata(path)[METADATA_KEY]))


def _decoded(path: Path, header: Mapping[str, Any]) -> TrainingState:
    document = {name: value for name, value in header.items() if name not in _EXTRA}
    history = document.pop("history", None)
    if history is None:
        with safe_open(path, "pt") as file:
            history = strict_json.decode(file.get_tensor(_HISTORY).numpy().tobytes())
    if not isinstance(history, list):
        raise DocumentError("history: expected a list")
    return replace(CHECKPOINT.decode_value(document), history=history)


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimizer(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, torch.Tensor],
    numbers: Mapping[str, Mapping[str, Any]],
) -> None:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    state: dict[int, dict[str, Any]] = {}
    saved: dict[str, dict[str, Any]] = {name: dict(values) for name, values in numbers.items()}
    for key, tensor in tensors.items():
        name, _, kind = key.rpartition(".")
        saved.setdefault(name, {})[kind] = tensor
    members = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(members):
        if names[id(parameter)] in saved:
            state[index] = saved[names[id(parameter)]]
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def unusable(path: Path, error: Exception) -> StepError:
    """The error for a checkpoint that cannot be used."""
    remedy = f"remove the folder {path.parent} to train from scratch"
    if isinstance(error, DocumentError):
        remedy = error.remedy(remedy)
    return StepError(f"cannot use the checkpoint {path} ({error}); {remedy}")
