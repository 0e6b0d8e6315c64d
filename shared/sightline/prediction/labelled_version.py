"""A version of a dataset as labelme files, whatever its format, for suggestions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sightline import strict_json
from sightline.config.data import Data, Faults
from sightline.config.task_declarations import task_declaration
from sightline.data.annotations import Annotations, LabelledImage
from sightline.data.folder_files import list_files
from sightline.data.formats.coco import CocoDocument
from sightline.data.formats.labelme.document import MAX_JSON_BYTES
from sightline.data.formats.registry import read_annotations
from sightline.data.label_schema import KeypointSchema, keypoint_schema
from sightline.data.recording.merge import merge
from sightline.data.recording.training_set import TrainingSet
from sightline.data.repository.checkout import Checkout
from sightline.data.suggestions.record import Document
from sightline.data.tags import DatasetTag
from sightline.data.tools.convert import convert
from sightline.data.tools.new_folder import copy_file
from sightline.data.tools.reading import describe_dataset
from sightline.errors import DataError
from sightline.plural import counted

_EVERYTHING = "all"
_ANY_CLASS = "(any)"
_READING = ("classes", "label_sets", "keypoints", "aliases", "ignored_labels", "format", "columns", "group_pattern")
"""The settings of a training set that say how its annotations are read."""
_NEEDS = {"objects": "objects", "keypoints": "objects with keypoints", "image_labels": "labels of whole images"}


@dataclass(frozen=True)
class LabelledVersion:
    """A version of a dataset.

    Attributes:
        tag: Its annotation tag.
        folder: The folder of its labelme files and images.
        converted: Whether these were converted from another format.
        images: The labeled images.
        document: All of them as one COCO document, with ids from 1 in the order of ``images``.
        checked: The part of it whose labels are checked.
        root: The folder that its file names are relative to.
        shapes: Annotation id -> indices of its shapes in the labelme file.
        hashes: SHA-256 of every labeled image.
        notes: What cannot be checked, in full sentences.
    """

    tag: DatasetTag
    folder: Path
    converted: bool
    images: list[LabelledImage]
    document: CocoDocument
    checked: CocoDocument
    root: Path
    shapes: dict[int, tuple[int, ...]]
    hashes: frozenset[str]
    notes: list[str]

    @property
    def ids(self) -> range:
        """The ids of all images."""
        return range(1, len(self.images) + 1)

    @property
    def keypoints(self) -> KeypointSchema | None:
        """The keypoints of the dataset."""
        return keypoint_schema(self.document)

    def file(self, image_id: int) -> str:
        """The labelme file of an image, relative to the folder."""
        return self.images[image_id - 1].file

    def labelme(self, image_id: int) -> Document:
        """The labelme file of an image as JSON values."""
        content = (self.folder / self.file(image_id)).read_bytes()
        document: Document = strict_json.decode(content, max_bytes=MAX_JSON_BYTES, finite=False)
        return document

    def copy_image(self, image_id: int, target: Path) -> None:
        """Copy an image to the same place below another folder; an embedded one is in its labelme file."""
        image = self.images[image_id - 1]
        if image.embedded is None:
            copy_file(self.folder / image.image, target / image.image)

    def write_all(self, target: Path) -> None:
        """Copy all labelme files and images below another folder."""
        for image_id in self.ids:
            self.copy_image(image_id, target)
            copy_file(self.folder / self.file(image_id), target / self.file(image_id))

    def free_folder(self) -> str:
        """The name of a folder for new images that the version does not have."""
        taken = {PurePosixPath(name).parts[0].casefold() for name in list_files(self.folder).files}
        numbers = range(1, len(taken) + 2)
        return next(name for name in (f"added-{number}" for number in numbers) if name not in taken)

    def require_labels_for(self, task: str) -> None:
        """Refuse a version whose labels are of another kind than those of a task.

        Raises:
            DataError: They are.
        """
        needs = task_declaration(task).needs
        has = (
            "image_labels"
            if self.document.get("label_sets")
            else "keypoints"
            if self.keypoints is not None
            else "objects"
        )
        if needs != has and not (needs == "objects" and has == "keypoints"):
            raise DataError(
                f"{self.tag} has {_NEEDS[has]}, but the model is for the task {task}, which needs {_NEEDS[needs]}; use "
                "a model of this dataset"
            )


def open_version(
    checkout: Checkout, split: str, temporary: Path, data: Data, recorded: TrainingSet | None
) -> LabelledVersion:
    """Read a version.

    Args:
        checkout: The checkout of its annotation or training tag.
        split: ``train``, ``val`` or ``test`` of a training tag, or ``all``.
        temporary: A folder for images that are embedded in labelme files, and for converted files.
        data: The limits, and the label sets that images have if the version was not recorded.
        recorded: The training set that was made from it, if it was recorded.

    Raises:
        DataError: It has no labeled image, or no such split.
    """
    tag = DatasetTag.parse(checkout.tag)
    folder = checkout.path / tag.annotations.folder
    if recorded is None and split != _EVERYTHING:
        raise DataError(f"{tag} has no splits; record it, or leave --split out")
    annotations, data = _read(folder, data, recorded)
    converted = annotations.format != "labelme"
    if converted:
        convert(folder, temporary / "labelme", "labelme", data, classes_known=True, max_loss=10**9)
        folder = temporary / "labelme"
        data = data.model_copy(update={"format": "labelme"})
        annotations = read_annotations(folder, data)
    document = merge(annotations.images, ["train"] * len(annotations.images), data, tag.dataset)["train"]
    images = _split_images(recorded, split, document)
    _place_images(document, annotations.images, folder, temporary)
    kept = {image["id"] for image in document["images"] if images is None or image["id"] in images}
    checked: CocoDocument = {
        **document,
        "images": [image for image in document["images"] if image["id"] in kept],
        "annotations": [one for one in document["annotations"] if one["image_id"] in kept],
    }
    if not checked["images"]:
        raise DataError(f"{tag}: the {split} split has no labeled image; choose another split")
    instances = [instance for image in annotations.images for instance in image.instances]
    shapes = {one["id"]: place.shapes for one, place in zip(document["annotations"], instances, strict=True)}
    return LabelledVersion(
        tag=tag.annotations,
        folder=folder,
        converted=converted,
        images=annotations.images,
        document=document,
        checked=checked,
        root=folder,
        shapes=shapes,
        hashes=frozenset(image.sha256 for image in annotations.images),
        notes=_notes(annotations),
    )


def _read(folder: Path, data: Data, recorded: TrainingSet | None) -> tuple[Annotations, Data]:
    """The annotations, with the classes that the training set was recorded with, or with all that they have."""
    dropping = {name: "drop" for name, field in Faults.model_fields.items() if field.default == "error"}
    given: dict[str, Any] = {"repository": "-", "max_pixels": data.max_pixels, "faults": dropping}
    if recorded is not None:
        own = recorded.configuration.get("data", recorded.configuration)
        return describe_dataset(
            folder,
            Data.model_validate({**given, **{name: own[name] for name in _READING if name in own}}),
            classes_known=True,
        )
    annotations, found = describe_dataset(
        folder, Data.model_validate({**given, "classes": (_ANY_CLASS,)}), classes_known=False
    )
    if found.label_sets and data.label_sets:  # labels do not tell whether a label set allows several classes
        sets = {name: one.model_dump() for name, one in data.label_sets.items()}
        found = Data.model_validate({**given, "classes": data.classes, "label_sets": sets})
        annotations = read_annotations(folder, found)
    return annotations, found


def _split_images(recorded: TrainingSet | None, split: str, document: CocoDocument) -> set[int] | None:
    """The ids of the images of a split; None: all."""
    if split == _EVERYTHING or recorded is None:
        return None
    hashes = {image.sha256 for image in recorded.images if image.split == split}
    return {image["id"] for image in document["images"] if image["sha256"] in hashes}


def _place_images(document: CocoDocument, images: list[LabelledImage], folder: Path, temporary: Path) -> None:
    """Make the file names those of files on disk; images that are embedded in labelme files are extracted."""
    for listed, image in zip(document["images"], images, strict=True):
        path = folder / image.image
        if image.embedded is not None:
            path = temporary / "embedded" / f"{listed['id']}{Path(image.image).suffix}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(image.embedded)
        listed["file_name"] = str(path)


def _notes(annotations: Annotations) -> list[str]:
    faults = len(annotations.faults)
    return [f"Shapes and images with a fault are not checked: {counted(faults, 'fault')}."] if faults else []
