"""Loading tensors into a network: what fits is taken, class rows go by the names of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sightline.errors import ModelFileError
from sightline.models.weights.table import Fate, TensorFate
from sightline.plural import counted

_UNLEARNED = ("num_batches_tracked",)
_SHOWN_FAULTS = 10


@dataclass(frozen=True, slots=True)
class ClassRows:
    """The rows of a tensor that belong to classes: those of label 0 first, then those of label 1, and so on.

    Attributes:
        per_class: Number of rows of each class.
        background: Whether the first rows belong to the background, which is label 0.
        per_anchor: Whether the tensor has the rows of all classes for the first anchor, then those for the second, and
            so on.
    """

    per_class: int = 1
    background: bool = True
    per_anchor: bool = False

    def of(self, label: int, classes: int, anchors: int) -> list[int]:
        """The rows of a label in a tensor for this number of classes and anchors; the first class has label 1."""
        first = (label if self.background else label - 1) * self.per_class
        starts = (anchor * self.count(classes) + first for anchor in range(anchors))
        return [start + row for start in starts for row in range(self.per_class)]

    def count(self, classes: int) -> int:
        """The number of rows for this number of classes, and one anchor."""
        return (classes + self.background) * self.per_class

    def anchors(self, rows: int, classes: int) -> int:
        """The number of anchors of a tensor with this number of rows; 1 if anchors have no rows of their own."""
        return rows // self.count(classes) if self.per_anchor else 1


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors to load, with the names of the network.

    Attributes:
        source: Their name, path or URI.
        sha256: SHA-256 of the file.
        tensors: The tensors by name.
        classes: Class names of labels 1, 2, ...; empty if they are unknown.
    """

    source: str
    sha256: str
    tensors: Mapping[str, torch.Tensor]
    classes: tuple[str, ...] = ()


def load_tensors(
    network: nn.Module,
    weights: Weights,
    classes: Sequence[str],
    class_rows: Mapping[str, ClassRows],
    required: str = "",
) -> tuple[TensorFate, ...]:
    """Load weights into a network, tensor by tensor.

    The tensors of one layer are loaded together or not at all.  Everything that is not loaded keeps its values.

    Args:
        network: The network, on any device.
        weights: What to load.
        classes: The classes of the network, in their order.
        class_rows: Tensors with rows for each class, by name.
        required: The beginning of the names of tensors that must all be loaded; empty: none must.

    Returns:
        All tensors of the network, then the unused tensors of the file.

    Raises:
        ModelFileError: A required tensor is missing or has another shape, or nothing can be loaded at all.
    """
    wanted = {name: tensor for name, tensor in network.state_dict().items() if _is_learned(name, tensor)}
    if required:
        _require_body({name: tensor for name, tensor in wanted.items() if name.startswith(required)}, weights, required)
    by_class = {} if tuple(classes) == weights.classes else class_rows
    offers = {
        name: _offered_rows(tensor, weights.tensors.get(name), by_class[name], weights, classes)
        if name in by_class
        else _offered(tensor, weights.tensors.get(name))
        for name, tensor in wanted.items()
    }
    _refuse_incomplete_layers(offers)
    taken = {name: offer.value for name, offer in offers.items() if offer.value is not None}
    if not taken:
        raise ModelFileError(f"{weights.source}: no tensor fits the network; use weights of the same architecture")
    network.load_state_dict(taken, strict=False)
    return (
        *(_fate(name, tensor, weights, offers[name]) for name, tensor in wanted.items()),
        *_unused(weights.tensors, wanted),
    )


def kept_labels(classes: Sequence[str], classes_in_file: Sequence[str]) -> dict[int, int]:
    """Label of a class -> its label in the file, for classes with the same name; labels begin at 1.

    Example:
        >>> kept_labels(["cat", "cow", "dog"], ["dog", "cat"])
        {1: 2, 3: 1}
    """
    labels = {name: label for label, name in reversed(list(enumerate(classes_in_file, start=1)))}
    return {label: labels[name] for label, name in enumerate(classes, start=1) if name in labels}


@dataclass(frozen=True, slots=True)
class _Offer:
    """The new value of a tensor, or None and why there is none."""

    value: torch.Tensor | None
    note: str = ""


def _offered(tensor: torch.Tensor, found: torch.Tensor | None) -> _Offer:
    fault = _misfit(tensor.shape, found)
    return _Offer(None, fault) if fault else _Offer(found)


def _offered_rows(
    tensor: torch.Tensor, found: torch.Tensor | None, rows: ClassRows, weights: Weights, classes: Sequence[str]
) -> _Offer:
    """A copy of a tensor with the rows of kept classes, and of the background, from the file."""
    anchors = rows.anchors(len(tensor), len(classes))
    if len(tensor) != anchors * rows.count(len(classes)):
        return _Offer(None, "its rows are not grouped by class")
    if found is not None and not weights.classes:
        return _Offer(None, "the file does not say which classes its rows belong to")
    fault = _misfit((anchors * rows.count(len(weights.classes)), *tensor.shape[1:]), found)
    kept = kept_labels(classes, weights.classes)
    pairs = {**kept, **({0: 0} if rows.background else {})}
    if fault or found is None or not pairs:
        return _Offer(None, fault or "no class has the name of a class in the file")
    filled = tensor.detach().clone()
    for label, label_in_file in pairs.items():
        from_rows = rows.of(label_in_file, len(weights.classes), anchors)
        filled[rows.of(label, len(classes), anchors)] = found[from_rows].to(filled)
    background = " and the background" if rows.background else ""
    return _Offer(filled, f"rows of {counted(len(kept), 'class', 'classes')} with the same name{background}")


def _misfit(shape: Sequence[int], found: torch.Tensor | None) -> str:
    """Why a tensor cannot be loaded; empty if it can be."""
    if found is None:
        return f"missing, expected {list(shape)}"
    return "" if tuple(found.shape) == tuple(shape) else f"{list(found.shape)}, expected {list(shape)}"


def _require_body(body: Mapping[str, torch.Tensor], weights: Weights, prefix: str) -> None:
    faults = {name: _misfit(tensor.shape, weights.tensors.get(name)) for name, tensor in body.items()}
    lines = [f"  {name.removeprefix(prefix)}: {fault}" for name, fault in faults.items() if fault]
    if lines:
        shown = "\n".join(lines[:_SHOWN_FAULTS]) + ("\n  ..." if len(lines) > _SHOWN_FAULTS else "")
        raise ModelFileError(
            f"{weights.source}: {len(lines)} of {len(body)} tensors do not match the backbone:\n{shown}\n"
            "use weights of the architecture that the section model of the recipe describes"
        )


def _refuse_incomplete_layers(offers: dict[str, _Offer]) -> None:
    """Refuse the tensors of layers of which another tensor does not fit."""
    incomplete = {name.rpartition(".")[0] for name, offer in offers.items() if offer.value is None}
    for name, offer in offers.items():
        if offer.value is not None and name.rpartition(".")[0] in incomplete:
            offers[name] = _Offer(None, "another tensor of this layer does not fit")


def _is_learned(name: str, tensor: torch.Tensor) -> bool:
    return tensor.numel() > 0 and not name.endswith(_UNLEARNED)


def _fate(name: str, tensor: torch.Tensor, weights: Weights, offer: _Offer) -> TensorFate:
    found = weights.tensors.get(name)
    fate: Fate = "re-initialized" if offer.value is None else "partly loaded" if offer.note else "loaded"
    return TensorFate(name, fate, tuple(tensor.shape), None if found is None else tuple(found.shape), offer.note)


def _unused(tensors: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> list[TensorFate]:
    return [
        TensorFate(name, "unused", None, tuple(tensor.shape), "the network has no such tensor")
        for name, tensor in tensors.items()
        if name not in wanted and _is_learned(name, tensor)
    ]
