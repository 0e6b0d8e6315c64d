"""What a network took from pretrained weights, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Fate = Literal["loaded", "partly loaded", "re-initialized", "unused"]

_SHOWN_NAMES = 3


@dataclass(frozen=True, slots=True)
class TensorFate:
    """What happened to one tensor.

    Attributes:
        name: Its name in the network; for an unused tensor, its name in the file.
        fate: ``partly loaded``: the rows of some classes; ``re-initialized``: it keeps its random values;
            ``unused``: a tensor of the file that the network does not have.
        shape: Its shape in the network; None if the network does not have it.
        file_shape: Its shape in the file; None if the file does not have it.
        note: Why it is not simply loaded; empty for ``loaded``.
    """

    name: str
    fate: Fate
    shape: tuple[int, ...] | None
    file_shape: tuple[int, ...] | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """What a network took from pretrained weights.

    Attributes:
        source: The name, path or URI of the weights.
        sha256: SHA-256 of the file.
        tensors: All tensors of the network, in its order, then the unused tensors of the file.
        kept_classes: Classes whose rows were taken from the file.
    """

    source: str
    sha256: str
    tensors: tuple[TensorFate, ...]
    kept_classes: tuple[str, ...] = ()

    def named(self, fate: Fate) -> list[str]:
        """The names of the tensors with this fate."""
        return [tensor.name for tensor in self.tensors if tensor.fate == fate]

    def summary(self) -> str:
        """Counts, and the first names of everything that was not simply loaded, on one line."""
        parts = [f"{len(self.named('loaded'))} tensors loaded"]
        fates: tuple[Fate, ...] = ("partly loaded", "re-initialized", "unused")
        for fate in fates:
            names = self.named(fate)
            more = ", ..." if len(names) > _SHOWN_NAMES else ""
            parts += [f"{len(names)} {fate} ({', '.join(names[:_SHOWN_NAMES])}{more})"] if names else []
        return ", ".join(parts)

    def text(self) -> str:
        """The whole table as text, one line per tensor."""
        classes = ", ".join(self.kept_classes) or "none"
        head = [f"weights: {self.source}", f"sha256: {self.sha256}", f"classes kept: {classes}", ""]
        rows = [("tensor", "fate", "network", "file", "note"), *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = ["  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*head, *(line.rstrip() for line in lines)]) + "\n"

    def _rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        for tensor in self.tensors:
            yield tensor.name, tensor.fate, _shown(tensor.shape), _shown(tensor.file_shape), tensor.note


def _shown(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else str(list(shape))
