"""What changed between two versions of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sightline.data.history import History
from sightline.data.manifest import Manifest
from sightline.data.tags import DatasetTag
from sightline.data.training_set import TrainingSet, from_bytes
from sightline.errors import RepositoryError


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths of what changed.

    Attributes:
        before: The first tag.
        after: The second tag.
        added: Only the second version has it.
        removed: Only the first version has it.
        relabelled: The annotations are others.
        replaced: The image behind the name is another.
        moved: Path -> ``train -> val``; record never does this to an image that both versions have.
    """

    before: str
    after: str
    added: list[str]
    removed: list[str]
    relabelled: list[str]
    replaced: list[str]
    moved: dict[str, str] = field(default_factory=dict)


def compare(history: History, before: DatasetTag, after: DatasetTag) -> Difference:
    """Compare two versions of one kind.

    Args:
        history: Holds both tags.
        before: The first.
        after: The second.

    Raises:
        RepositoryError: One tag is of annotations and the other of training, so that they have nothing in common.
    """
    if before.kind != after.kind:
        raise RepositoryError(
            f"{before} and {after} hold different kinds of data; compare {before.annotations} with "
            f"{after.annotations}, or {before.training} with {after.training}"
        )
    if before.kind == "ann":
        return _compare_annotations(before, after, history.manifest(before), history.manifest(after))
    return _compare_training(
        before,
        after,
        from_bytes(history.read(before, "dataset.json"), f"dataset.json of {before}"),
        from_bytes(history.read(after, "dataset.json"), f"dataset.json of {after}"),
    )


def _compare_annotations(before: DatasetTag, after: DatasetTag, old: Manifest, new: Manifest) -> Difference:
    """By files: a JSON file stands for a labelled image, every other file for an image."""
    changed = [name for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]
    return Difference(
        str(before),
        str(after),
        _named_once(new.keys() - old.keys()),
        _named_once(old.keys() - new.keys()),
        relabelled=[name for name in changed if name.lower().endswith(".json")],
        replaced=[name for name in changed if not name.lower().endswith(".json")],
    )


def _compare_training(before: DatasetTag, after: DatasetTag, old_set: TrainingSet, new_set: TrainingSet) -> Difference:
    old: Mapping[str, tuple[str, str, str]] = {
        image.file_name: (image.sha256, image.labels, image.split) for image in old_set.images
    }
    new = {image.file_name: (image.sha256, image.labels, image.split) for image in new_set.images}
    both = sorted(old.keys() & new.keys())
    return Difference(
        str(before),
        str(after),
        sorted(new.keys() - old.keys()),
        sorted(old.keys() - new.keys()),
        relabelled=[name for name in both if old[name][1] != new[name][1]],
        replaced=[name for name in both if old[name][0] != new[name][0]],
        moved={name: f"{old[name][2]} -> {new[name][2]}" for name in both if old[name][2] != new[name][2]},
    )


def _named_once(names: Set[str]) -> list[str]:
    """Sorted, without the JSON files whose images are among the names."""
    images = {str(PurePosixPath(name).with_suffix("")) for name in names if not name.lower().endswith(".json")}
    return sorted(name for name in names if name.removesuffix(".json") not in images)
