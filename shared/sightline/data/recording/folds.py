"""Reads the splits of a training set, also for one training of a cross-validation, and which images are related."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sightline.data.annotations import SplitName
from sightline.data.formats.coco import CocoDocument, CocoImage, read_coco
from sightline.data.recording.training_set import TrainingSet, from_bytes
from sightline.errors import DataError


def read_training_split(folder: Path, split: SplitName, fold: int = 0) -> CocoDocument:
    """One split of a training set on disk.

    Args:
        folder: The folder with ``dataset.json`` and a COCO document for each split.
        split: The split.
        fold: ``data.fold``: the number of the fold that is the val split, from 1; all other images of train and val
            are the train split.  0: the splits as recorded.  The test split is the same for all.

    Raises:
        DataError: A file cannot be read, or the training set does not have this fold.
    """
    if not fold or split == "test":
        return read_coco(folder / f"{split}.json")
    folds = _folds(folder, fold)
    parts = [read_coco(folder / f"{part}.json") for part in ("train", "val")]

    def is_used(image: CocoImage) -> bool:
        return (folds[image["file_name"]] == fold) == (split == "val")

    return _joined(parts[0], parts[1], is_used, split)


def read_related(folder: Path) -> dict[str, str]:
    """File name -> what all images that had to be in the same split have in common: groups and near-duplicates.

    Args:
        folder: The folder with ``dataset.json``.

    Raises:
        DataError: The file cannot be read.
    """
    return {image.file_name: image.tied for image in _training_set(folder).images}


def _training_set(folder: Path) -> TrainingSet:
    path = folder / "dataset.json"
    try:
        return from_bytes(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); check out the training tag again"
        ) from error


def _folds(folder: Path, fold: int) -> dict[str, int]:
    """File name -> fold, of all images."""
    training_set = _training_set(folder)
    count = max((image.fold for image in training_set.images), default=0)
    if fold > count:
        recorded = f"has {count} folds" if count else "was recorded without folds"
        raise DataError(
            f"data.fold is {fold}, but the training set {training_set.dataset} {training_set.version} {recorded}; set "
            "data.folds, and record the annotations as a new version"
        )
    return {image.file_name: image.fold for image in training_set.images}


def _joined(
    train: CocoDocument, val: CocoDocument, is_used: Callable[[CocoImage], bool], split: SplitName
) -> CocoDocument:
    images = [image for image in (*train["images"], *val["images"]) if is_used(image)]
    ids = {image["id"] for image in images}
    joined: CocoDocument = {
        **train,
        "images": sorted(images, key=lambda image: image["id"]),
        "annotations": [one for one in (*train["annotations"], *val["annotations"]) if one["image_id"] in ids],
    }
    if "info" in train:
        joined["info"] = {**train["info"], "split": split}
    return joined
