"""Suggested labels for a dataset: label errors of a version, or labels of images that have none, as labelme files."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sightline.config.data import Data
from sightline.config.labels import LabelSet
from sightline.data.formats.coco import CocoDocument, CocoImage
from sightline.data.recording.training_set import TrainingSet, from_bytes
from sightline.data.repository.checkout import checked_out
from sightline.data.repository.history import list_tags, open_history
from sightline.data.suggestions.record import Document, SuggestionRecord, with_suggestions
from sightline.data.tags import DatasetTag
from sightline.data.tools.new_folder import copy_file, new_folder, require_new
from sightline.data.workspace import Workspace
from sightline.errors import DataError
from sightline.evaluation.inference import names_by_id
from sightline.evaluation.shared_classes import SharedClasses, listed, shared_classes
from sightline.files import file_sha256
from sightline.metrics.coco import box_ious
from sightline.metrics.label_errors import CONFIDENT_FROM, MATCH_IOU, Suspect
from sightline.models.model_file import ModelCard
from sightline.prediction.batch import shown_from
from sightline.prediction.labelled_version import LabelledVersion, open_version
from sightline.prediction.models import find_model
from sightline.prediction.suggested_shapes import suggestion_of
from sightline.prediction.unlabelled import UnlabelledFolder
from sightline.prediction.worth import most_worth
from sightline.tasks.base import Predictor, load_predictor
from sightline.tasks.evaluators import Evaluator, open_evaluator
from sightline.temporary_folder import temporary_folder

LABELME_VERSION = "5.5.0"


@dataclass(frozen=True, slots=True)
class Request:
    """What to suggest.

    Attributes:
        model: Name of the model; see :func:`sightline.prediction.models.find_model`.
        tag: The version whose labels are checked, or that images are to be added to.
        split: ``train``, ``val`` or ``test`` of a training tag; ``all``: all images.
        min_score: Suggestions with a lower score are left out; None: none are, but labels of new images are only
            suggested from the scores on that the model file has for its classes.
        limit: Maximum number of suggestions.
        images: Folder or URI of images without labels; empty: the labels of the version are checked.
        select: Maximum number of these images, those most worth labeling; None: all.
        device: ``auto``, ``cpu`` or ``cuda``.
        max_pixels: Images with more pixels are rejected.
    """

    model: str
    tag: DatasetTag
    split: str = "all"
    min_score: float | None = None
    limit: int | None = None
    images: str = ""
    select: int | None = None
    device: str = "auto"
    max_pixels: int = 50_000_000


@dataclass(frozen=True, slots=True)
class Suggested:
    """What was suggested.

    Attributes:
        checked: Number of images that the model was applied to.
        files: The labelme files with suggestions, the most suspicious first, or those of new images, in the folder.
        kinds: Kind of suggestion -> number.
        converted: Whether the dataset was converted to labelme, so that the folder holds all of its images.
        notes: What was left out, in full sentences.
    """

    checked: int
    files: list[str]
    kinds: dict[str, int]
    converted: bool = False
    notes: list[str] = field(default_factory=list)


def suggest(request: Request, out: Path, workspace: Workspace) -> Suggested:
    """Write labelme files with suggestions to a new folder.

    Args:
        request: What to suggest.
        out: The folder; it must not exist yet, or be empty.
        workspace: The data repository and the work volume.

    Raises:
        DataError: ``out`` exists; the version has no labels for the task of the model, or none of its classes; there
            are no images.
        ModelFileError: The model cannot be used.
        UnknownTagError: There is no such version.
    """
    require_new(out)
    with temporary_folder("suggest") as temporary:
        path = find_model(request.model, temporary)
        predictor = load_predictor(path, request.device)
        with checked_out(workspace, str(request.tag)) as checkout:
            recorded = _recorded(workspace, request.tag)
            data = _data_of(predictor.card, request.max_pixels)
            version = open_version(checkout, request.split, Path(temporary), data, recorded)
            source = _Source(request, predictor, file_sha256(path), version, _shared(predictor, version))
            if not request.images:
                return _label_errors(source, out)
            images = UnlabelledFolder.open(
                request.images, Path(temporary) / "images", version.hashes, request.max_pixels
            )
            return _pre_labels(source, images, out)


def _recorded(workspace: Workspace, tag: DatasetTag) -> TrainingSet | None:
    """The training set that a version was recorded as; None if it was not recorded."""
    training, seconds = tag.training, workspace.timeout_seconds
    if str(training) not in list_tags(workspace.repository, seconds):
        return None
    with open_history(workspace.repository, [training], seconds) as history:
        return from_bytes(history.read(training, "dataset.json"), f"dataset.json of {training}")


def _data_of(card: ModelCard, max_pixels: int) -> Data:
    """The classes of a model, and its label sets if it classifies images, as settings for reading annotations."""
    heads = getattr(card.architecture, "label_sets", ())
    sets = {one.name: LabelSet(classes=one.classes, multiple=one.multiple) for one in heads}
    return Data(repository="-", classes=card.classes, label_sets=sets, max_pixels=max_pixels)


@dataclass(frozen=True)
class _Source:
    """A model and a version that it suggests labels for."""

    request: Request
    predictor: Predictor
    sha256: str
    version: LabelledVersion
    shared: SharedClasses

    @cached_property
    def evaluator(self) -> Evaluator:
        """The evaluator for the classes that the model knows."""
        names, keypoints = names_by_id(self.version.document), self.version.keypoints
        return open_evaluator(self.predictor.card.task, "none", names, keypoints).for_classes(self.shared.names)

    def predict(self, document: CocoDocument, root: Path) -> list[Any]:
        """The predictions for the images of a document, with all scores and the category ids of the model."""
        from sightline.tasks.batch_inference import predict_images

        limit = self.request.max_pixels
        predictor = self.predictor.for_split(document)
        return predict_images(predictor, document["images"], root, max_pixels=limit, description="predict on images")

    def suspects(
        self, document: CocoDocument, predictions: Sequence[Any], *, confident_from: float = CONFIDENT_FROM
    ) -> dict[int, list[Suspect]]:
        """The chosen suspects by image, the most suspicious image first."""
        truth, translated = self.shared.truth(document), self.shared.translated(predictions)
        suspects = self.evaluator.suspects(truth, translated, confident_from=confident_from)
        suspects = [one for one in suspects if one.score >= (self.request.min_score or 0.0)]
        by_image: dict[int, list[Suspect]] = {}
        for suspect in _without_unknown(suspects, document, self.shared)[: self.request.limit]:
            by_image.setdefault(suspect.image_id, []).append(suspect)
        return by_image

    def add(self, document: Document, suspects: Sequence[Suspect], *, new: bool = False) -> None:
        """Add the suggestions for one image to its labelme file."""
        names = names_by_id(self.version.document)
        suggestions, shapes = [], {}
        for number, suspect in enumerate(suspects, start=1):
            places = self.version.shapes.get(suspect.annotation_id or 0, ())
            suggestion, shapes[number] = suggestion_of(number, suspect, names, document, places)
            suggestions.append(suggestion)
        flags = {name: bool(value) for name, value in (document.get("flags") or {}).items()}
        base, converted = str(self.version.tag), self.version.converted
        with_suggestions(document, SuggestionRecord(base, self.sha256, converted, new, flags, suggestions), shapes)

    def result(
        self, checked: int, files: list[str], by_image: dict[int, list[Suspect]], notes: Sequence[str]
    ) -> Suggested:
        """The result, with the notes about the version."""
        kinds = Counter[str](one.kind for suspects in by_image.values() for one in suspects)
        shared = self.shared
        classes = f"Only the classes that model and dataset share are compared ({shared.difference})."
        every = [*notes, *self.version.notes, *([] if shared.complete else [classes])]
        return Suggested(checked, files, dict(kinds), self.version.converted, every)


def _shared(predictor: Predictor, version: LabelledVersion) -> SharedClasses:
    """The classes of both.

    Raises:
        DataError: There are none, or the version has other labels than the task needs.
    """
    card = predictor.card
    version.require_labels_for(card.task)
    shared = shared_classes(card.classes, card.category_ids, version.document)
    if not shared.names:
        theirs = listed([entry["name"] for entry in version.document["categories"]])
        raise DataError(
            f"the model has none of the classes of {version.tag}: it has {listed(card.classes)}, the dataset {theirs}; "
            "use a model of this dataset"
        )
    return shared


def _label_errors(source: _Source, out: Path) -> Suggested:
    version = source.version
    by_image = source.suspects(version.checked, source.predict(version.checked, version.root))
    if by_image:
        with new_folder(out) as part:
            for image_id in version.ids if version.converted else by_image:
                document = version.labelme(image_id)
                if image_id in by_image:
                    source.add(document, by_image[image_id])
                version.copy_image(image_id, part)
                _write(part / version.file(image_id), document)
    files = [str(version.file(image_id)) for image_id in by_image]
    return source.result(len(version.checked["images"]), files, by_image, [])


def _pre_labels(source: _Source, images: UnlabelledFolder, out: Path) -> Suggested:
    version, request = source.version, source.request
    document: CocoDocument = {**version.document, "images": images.listed, "annotations": []}
    predictions = source.predict(document, images.root)
    if request.select is not None:
        scores = [source.evaluator.uncertainty(one) for one in predictions]
        chosen = most_worth(images.root, images.listed, scores, request.select, request.max_pixels)
        document["images"] = [images.listed[index] for index in chosen]
        predictions = [predictions[index] for index in chosen]
    lowest = shown_from(source.predictor.card) if request.min_score is None else request.min_score
    by_image = source.suspects(document, [one.above(lowest) for one in predictions], confident_from=0.0)
    prefix, files = version.free_folder(), list[str]()
    with new_folder(out) as part:
        for image in document["images"]:
            name = images.name_of(image)
            copy_file(images.root / image["file_name"], part / prefix / name)
            written = _unlabelled_document(image, name)
            source.add(written, by_image.get(image["id"], []), new=True)
            files.append(str(PurePosixPath(prefix, name).with_suffix(".json")))
            _write(part / files[-1], written)
        if version.converted:
            version.write_all(part)
    return source.result(len(images.listed), files, by_image, images.notes)


def _without_unknown(suspects: Sequence[Suspect], document: CocoDocument, shared: SharedClasses) -> list[Suspect]:
    """Without missing objects where the truth has an object of a class that the model does not know."""
    known = set(shared.ids.values())
    boxes: dict[int, list[list[float]]] = defaultdict(list)
    for annotation in document["annotations"]:
        if annotation["category_id"] not in known:
            boxes[annotation["image_id"]].append(annotation["bbox"])

    def is_known(suspect: Suspect) -> bool:
        others = boxes.get(suspect.image_id)
        if suspect.kind != "missing" or suspect.object is None or not others:
            return True
        left, top, right, bottom = suspect.object.box_xyxy
        box = np.array([[left, top, right - left, bottom - top]])
        return bool(box_ious(box, np.array(others, np.float64)).max() < MATCH_IOU)

    return [one for one in suspects if is_known(one)]


def _unlabelled_document(image: CocoImage, name: str) -> Document:
    return {
        "version": LABELME_VERSION,
        "flags": {},
        "shapes": [],
        "imagePath": PurePosixPath(name).name,
        "imageData": None,
        "imageHeight": image["height"],
        "imageWidth": image["width"],
    }


def _write(path: Path, document: Document) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2), encoding="utf-8")
