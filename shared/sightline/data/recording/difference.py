"""The difference between two versions of a dataset."""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sightline.data.dvc.manifest import Manifest
from sightline.data.folder_files import suffix_of
from sightline.data.formats.coco import Segmentation, decode_coco
from sightline.data.images import IMAGE_SUFFIXES
from sightline.data.recording.filling import SPLITS
from sightline.data.recording.training_set import TrainingSet, from_bytes
from sightline.data.repository.history import History
from sightline.data.tags import DatasetTag
from sightline.errors import RepositoryError


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths of changed files.

    Attributes:
        before: The first tag.
        after: The second tag.
        added: Files that only the second version has.
        removed: Files that only the first version has.
        relabelled: Files whose annotations differ.
        replaced: Images whose contents differ.
        moved: Path -> ``train -> val``; record never moves an image that both versions have.
        reboxed: Images with equal labels whose boxes were computed differently by an earlier release of Sightline.
    """

    before: str
    after: str
    added: list[str]
    removed: list[str]
    relabelled: list[str]
    replaced: list[str]
    moved: dict[str, str] = field(default_factory=dict)
    reboxed: list[str] = field(default_factory=list)


def compare(history: History, before: DatasetTag, after: DatasetTag) -> Difference:
    """Compare two versions of the same kind.

    Args:
        history: Contains both tags.
        before: The first version.
        after: The second version.

    Raises:
        RepositoryError: One tag is an annotation tag and the other a training tag, which cannot be compared.
    """
    if before.kind != after.kind:
        raise RepositoryError(
            f"{before} and {after} are different kinds of data; compare {before.annotations} with "
            f"{after.annotations}, or {before.training} with {after.training}"
        )
    if before.kind == "ann":
        return _compare_annotations(before, after, history.manifest(before), history.manifest(after))
    return _compare_training(history, before, after)


def _compare_annotations(before: DatasetTag, after: DatasetTag, old: Manifest, new: Manifest) -> Difference:
    """Compare files: those that are not images count as annotations, of one image or of many."""
    changed = [name for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]
    return Difference(
        str(before),
        str(after),
        _named_once(new.keys() - old.keys()),
        _named_once(old.keys() - new.keys()),
        relabelled=[name for name in changed if suffix_of(name) not in IMAGE_SUFFIXES],
        replaced=[name for name in changed if suffix_of(name) in IMAGE_SUFFIXES],
    )


def _compare_training(history: History, before: DatasetTag, after: DatasetTag) -> Difference:
    old, new = ({image.file_name: image for image in _training_set(history, tag).images} for tag in (before, after))
    both = sorted(old.keys() & new.keys())
    relabelled = [name for name in both if old[name].labels != new[name].labels]
    drawn = [_drawn(history, tag, relabelled) for tag in (before, after)]
    reboxed = [name for name in relabelled if drawn[0][name] == drawn[1][name]]
    return Difference(
        str(before),
        str(after),
        sorted(new.keys() - old.keys()),
        sorted(old.keys() - new.keys()),
        relabelled=sorted(set(relabelled) - set(reboxed)),
        replaced=[name for name in both if old[name].sha256 != new[name].sha256],
        moved={name: f"{old[name].split} -> {new[name].split}" for name in both if old[name].split != new[name].split},
        reboxed=reboxed,
    )


def _training_set(history: History, tag: DatasetTag) -> TrainingSet:
    return from_bytes(history.read(tag, "dataset.json"), f"dataset.json of {tag}")


def _drawn(history: History, tag: DatasetTag, images: Collection[str]) -> dict[str, list[tuple[str, Segmentation]]]:
    """Class and outline of the objects of some images: the user's drawing, from which boxes are computed."""
    drawn: dict[str, list[tuple[str, Segmentation]]] = {name: [] for name in images}
    for split in SPLITS if drawn else ():
        name = f"{split}.json"
        document = decode_coco(history.read(tag, name), f"{name} of {tag}")
        classes = {category["id"]: category["name"] for category in document["categories"]}
        names = {image["id"]: image["file_name"] for image in document["images"]}
        for annotation in document["annotations"]:
            if (image := names[annotation["image_id"]]) in drawn:
                drawn[image].append((classes[annotation["category_id"]], annotation["segmentation"]))
    return drawn


def _named_once(names: Set[str]) -> list[str]:
    """Sorted names, without the JSON files of images that are listed."""
    images = {str(PurePosixPath(name).with_suffix("")) for name in names if not name.lower().endswith(".json")}
    return sorted(name for name in names if name.removesuffix(".json") not in images)
