"""The result of reading the annotations of one image, and how fault policies count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sightline.config.data import Data, Faults
from sightline.data.annotations import Annotations, Fault, FaultKind, LabelledImage

LabelPlace = tuple[int | None, str, str]
"""Index of a shape or None, entry, and the label there, as in :class:`sightline.data.annotations.Fault`."""


@dataclass
class FileReading:
    """The result of reading one image and its annotations.

    Attributes:
        file: Path of the annotation file relative to the folder, POSIX; that of the image if its folder is the label.
        names: Path of the image file that the annotations name, relative to the folder, usable or not; None if there is
            none.
        image: The labeled image, or None if the policy excludes it.
        faults: Faults of the file or image, then of its shapes.
        dropped: Number of dropped shapes by kind of fault.
        left_out: Number of shapes of a known class that are left out, by class and kind of fault.
        ignored: Number of shapes with an ignored label.
        labels: Number of shapes with each label, as written.
        places: The place and label of each shape, if the classes are not known.
        label_sets: Labels of the whole image as written: label set and name.
        entry: The place of the image in the file.
        points: Labels of point shapes, which may be keypoints, if the classes are not known.
    """

    file: str
    names: str | None = None
    image: LabelledImage | None = None
    faults: list[Fault] = field(default_factory=list)
    dropped: Counter[FaultKind] = field(default_factory=Counter)
    left_out: Counter[tuple[str, FaultKind]] = field(default_factory=Counter)
    ignored: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    places: tuple[LabelPlace, ...] = ()
    label_sets: tuple[tuple[str, str], ...] = ()
    entry: str = ""
    points: tuple[str, ...] = ()


def count_dropped(dropped: Counter[FaultKind], faults: Sequence[Fault], data: Data) -> FaultKind | None:
    """Count a shape or image with these faults: once if it is left out, or once per clipped fault.

    Returns:
        The kind of fault for which it is left out; None if it is used, or if record stops.
    """
    if not faults:
        return None
    policies = [(fault.kind, getattr(data.faults, fault.kind)) for fault in faults]
    left_out = [kind for kind, policy in policies if policy == "drop"]
    if any(policy == "error" for _, policy in policies):
        return None
    if not left_out:
        dropped.update(kind for kind, _ in policies)
        return None
    dropped[left_out[0]] += 1
    return left_out[0]


def is_usable(faults: Sequence[Fault], data: Data) -> bool:
    """Whether a shape or image with these faults is used: the policies only clip it, or replace its image."""
    return not faults or all(getattr(data.faults, fault.kind) in ("clip", "embedded") for fault in faults)


def stopping_faults(annotations: Annotations, policies: Faults) -> list[Fault]:
    """The faults with the policy ``error``; any of them stops record."""
    return [fault for fault in annotations.faults if getattr(policies, fault.kind) == "error"]
