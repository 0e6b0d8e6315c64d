"""The graphs of networks for export, and comparisons of predictions, by task."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sightline.config.task_declarations import TASK_NAMES
from sightline.names import NameTable

if TYPE_CHECKING:
    from torch import nn

ExportFormat = Literal["onnx", "torch_export"]

GRAPHS = NameTable("task", dict.fromkeys(TASK_NAMES, "sightline.tasks.*.export:export_graph"))
"""Makes a graph from a network of the task.

A graph takes ``images`` uint8 [B, 3, H, W] and ``sizes`` int64 [B, 2] and returns a tuple of tensors, which its
attribute ``outputs`` names.  Its attribute ``translations`` has the translations of its own operators to ONNX.
"""


COMPARISONS = NameTable("task", dict.fromkeys(TASK_NAMES, "sightline.tasks.*.export:compare"))
"""Compares predictions of an exported model, or of a loaded file, with those of the network: takes triples of the
prediction of the network, that of the model, and input pixels per pixel of the image, and returns an
:class:`Agreement`."""


class Agreement(Protocol):
    """The agreement of an exported or loaded model with its network."""

    @property
    def holds(self) -> bool:
        """Whether all differences are within the tolerances."""
        ...

    @property
    def advice(self) -> str:
        """What to do if the comparison says little; empty if it is meaningful."""
        ...

    def line(self) -> str:
        """The agreement in one line."""
        ...


def has_comparison(task: str) -> bool:
    """Whether the predictions of a task can be compared: a task may have no export."""
    return find_spec(COMPARISONS[task].partition(":")[0]) is not None


def agreement(task: str, triples: Iterable[tuple[Any, Any, float]]) -> Agreement:
    """Compare the predictions of an exported or loaded model with those of its network; see :data:`COMPARISONS`."""
    compare: Callable[[Iterable[tuple[Any, Any, float]]], Agreement] = COMPARISONS.load(task, "task")
    return compare(triples)


def export_graph(task: str, network: nn.Module, format_: ExportFormat) -> Any:  # noqa: ANN401
    """The graph of a network.

    Args:
        task: Name of the task.
        network: The network, in evaluation mode.
        format_: The format that the graph is made for.

    Raises:
        ConfigurationError: There is no such task, or the network cannot be exported.
    """
    make: Callable[[nn.Module, ExportFormat], Any] = GRAPHS.load(task, "task")
    return make(network, format_)
