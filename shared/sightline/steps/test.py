"""Test: the selected models, back from the result bucket, on images that nothing was decided on."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.config.digest import config_digest, step_key
from sightline.config.schema import Config
from sightline.data.checkout import Checkout
from sightline.data.detections import Detections
from sightline.data.lock import exclusive_lock
from sightline.database import ModelRecord, ModelUse, open_database
from sightline.errors import StepError
from sightline.logs import Progress
from sightline.metrics.confusion import ImageMistakes
from sightline.metrics.exact_match import Reading
from sightline.metrics.selection import metrics_line
from sightline.report.draw import draw_detections
from sightline.report.test_report import write_test_report
from sightline.steps.drawings import draw_split, drawing_name, plain_name, save_drawing
from sightline.steps.environment import environment
from sightline.steps.inference import class_names, fetch_model, read_split, training_set_on_disk
from sightline.steps.journal import current_run_id, write_atomically
from sightline.steps.measurement import Measurement, measure
from sightline.steps.results import EvaluateResult, Selection, TestedModel, TestResult
from sightline.steps.store import find_result, folder_key, publish_result
from sightline.steps.unlabelled import UnlabelledImages
from sightline.storage import Storage, open_storage
from sightline.tasks.reading import open_reader

if TYPE_CHECKING:
    from PIL.Image import Image

    from sightline.models.predictor import Predictor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Source:
    """An image that is yet to be fetched and decoded; ``id`` is the COCO id, 0 for an unlabelled one."""

    id: int
    name: str
    read: Callable[[], Image]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a model found in an image, all scores, and what was read from the sure ones."""

    name: str
    found: Detections
    readings: list[Reading]


def run(config: Config, code_rev: str, evaluate: EvaluateResult) -> TestResult:
    """Infer the test split and ``test.images`` with every distinct selected model; draw, read, time.

    Args:
        config: The whole configuration.
        code_rev: The code revision.
        evaluate: The selections.

    Raises:
        ConfigurationError: ``test.images`` holds no image.
        DataError: An image cannot be used.
        ModelFileError: A model is damaged, or of other classes or another task than the training set.
        StepError: Nothing was selected, or a selected model is gone.
    """
    if not evaluate.selections:
        raise StepError(f"evaluate selected no model for {evaluate.training_tag}; run evaluate again")
    storage = open_storage(config.storage.uri)
    unlabelled = UnlabelledImages(config.test.images)
    models = _distinct(evaluate.selections)
    tag = evaluate.training_tag
    key = step_key("test", config, tag, *models, unlabelled.digest, code_rev)
    folder = Path(config.work.dir) / "test" / key
    with exclusive_lock(folder.with_name(f"{key}.lock"), config.work.lock_timeout_seconds):
        result = find_result(storage, TestResult, tag, key)
        if result is None:
            with training_set_on_disk(config, tag) as source:
                result = _Test(config, evaluate, storage, folder, source, unlabelled=unlabelled).publish(key, models)
        else:
            _log.info("tested already: %s", storage.uri_of(folder_key("test", tag, key)))
    _record(config, result, {model.sha256: model.training_tag for model in evaluate.models})
    return result


def _distinct(selections: Iterable[Selection]) -> dict[str, list[Selection]]:
    """The selections by the model that they selected."""
    models: dict[str, list[Selection]] = {}
    for selection in selections:
        models.setdefault(selection.sha256, []).append(selection)
    return models


class _Test:
    """The selected models on one test split and one set of unlabelled images."""

    def __init__(
        self,
        config: Config,
        evaluate: EvaluateResult,
        storage: Storage,
        folder: Path,
        source: Checkout,
        *,
        unlabelled: UnlabelledImages,
    ) -> None:
        self._began = time.monotonic()
        self._config, self._evaluate, self._storage = config, evaluate, storage
        self._folder, self._files, self._unlabelled = folder, folder / "files", unlabelled
        self._tag = evaluate.training_tag
        self._root = source.path
        self._truth = read_split(source, "test")
        self._classes = class_names(self._truth)
        self._reader = open_reader(config.reading, self._classes)

    def publish(self, key: str, models: dict[str, list[Selection]]) -> TestResult:
        """Look at every image with every model, and publish what was seen."""
        if self._files.exists():
            shutil.rmtree(self._files)
        base = self._storage.uri_of(folder_key("test", self._tag, key))
        summary: dict[str, Any] = {
            "training_tag": self._tag,
            "split": "test",
            "score_threshold": self._config.test.score_threshold,
            "images": len(self._truth["images"]),
            "classes": self._classes,
            "models": {},
            "selections": [asdict(selection) for selection in self._evaluate.selections],
            "drawn": [],
            "unlabelled": [],
        }
        tested = [self._test(selections, base, summary) for selections in models.values()]
        write_atomically(self._files / "summary.json", json.dumps(summary, indent=1))
        write_test_report(self._files / "report.html", self._files)
        result = TestResult(
            training_tag=self._tag,
            images=len(self._truth["images"]),
            unlabelled_images=len(self._unlabelled),
            models=tested,
            files=base,
            seconds=time.monotonic() - self._began,
            environment=environment(self._config.train.device),
        )
        digest = config_digest("test", self._config)
        return publish_result(self._storage, result, self._tag, key, files=self._files, config_digest=digest)

    def _test(self, selections: Sequence[Selection], base: str, summary: dict[str, Any]) -> TestedModel:
        """Look at every image with one model, leave its files, and add it to the summary."""
        selection = selections[0]
        predictor = self._load(selection)
        seen, images_per_second = self._look(predictor)
        measured = self._measure(seen)
        summary["models"][selection.name] = {
            "sha256": selection.sha256,
            "uri": selection.uri,
            "training_tag": predictor.card.training_tag,
            "images_per_second": images_per_second,
            **measured.document(self._truth),
        }
        summary["drawn"] += self._draw_split(selection.name, seen, measured.confusion.mistakes)
        summary["unlabelled"] += self._draw_unlabelled(selection.name, seen)
        predictions = f"predictions/{plain_name(selection.name)}/predictions.json"
        write_atomically(self._files / predictions, json.dumps(self._predictions(selection, seen), indent=1))
        return TestedModel(
            metric=", ".join(entry.metric for entry in selections),
            uri=selection.uri,
            sha256=selection.sha256,
            metrics=measured.metrics,
            images_per_second=images_per_second,
            predictions=f"{base}/{predictions}",
        )

    def _load(self, selection: Selection) -> Predictor:
        from sightline.models.predictor import Predictor

        path = fetch_model(selection.uri, selection.sha256, self._folder / "models")
        return Predictor.load(path, device=self._config.train.device, task=self._config.task, classes=self._classes)

    def _sources(self) -> list[_Source]:
        from sightline.data.dataset import read_listed_image

        limit = self._config.data.max_pixels
        listed = [
            _Source(
                image["id"],
                image["file_name"],
                lambda image=image: read_listed_image(self._root, image, limit),  # type: ignore[misc]
            )
            for image in self._truth["images"]
        ]
        others = [
            _Source(0, name, lambda name=name: self._unlabelled.read(name, limit))  # type: ignore[misc]
            for name in self._unlabelled.names
        ]
        return listed + others

    def _look(self, predictor: Predictor) -> tuple[list[_Seen], float]:
        """Every image, one at a time, and how many a second: decoding, inference and reading, after one to warm up."""
        sources = self._sources()
        seen = []
        if sources:
            predictor.predict(sources[0].read())
        began = time.monotonic()
        with Progress("test images", total=len(sources), unit="images") as progress:
            for source in progress.track(sources):
                found = predictor.predict(source.read(), source.id)
                seen.append(_Seen(source.name, found, self._read(found)))
        seconds = time.monotonic() - began
        return seen, len(sources) / seconds if sources else 0.0

    def _read(self, found: Detections) -> list[Reading]:
        if self._reader is None:
            return []
        sure = self._sure(found)
        return self._reader.read(sure.boxes_xyxy, sure.scores, sure.category_ids)

    def _sure(self, found: Detections) -> Detections:
        return found.above(self._config.test.score_threshold)

    def _measure(self, seen: Iterable[_Seen]) -> Measurement:
        labelled = [entry.found for entry in seen if entry.found.image_id]
        return measure(self._truth, labelled, self._reader, self._config.test.score_threshold)

    def _predictions(self, selection: Selection, seen: Iterable[_Seen]) -> dict[str, Any]:
        """``predictions.json``: what was found and read, image by image."""
        return {
            "model": {"sha256": selection.sha256, "uri": selection.uri},
            "score_threshold": self._config.test.score_threshold,
            "images": [
                {
                    "image": entry.name,
                    "labelled": entry.found.image_id > 0,
                    "detections": self._detections(self._sure(entry.found)),
                    "readings": [reading.document() for reading in entry.readings],
                }
                for entry in seen
            ],
        }

    def _detections(self, found: Detections) -> list[dict[str, Any]]:
        names = {category["id"]: category["name"] for category in self._truth["categories"]}
        return [
            {
                "class": names[int(found.category_ids[index])],
                "category_id": int(found.category_ids[index]),
                "score": round(float(found.scores[index]), 4),
                "box_xyxy": [round(value, 1) for value in found.boxes_xyxy[index].tolist()],
                "mask": found.masks[index],
            }
            for index in range(len(found))
        ]

    def _draw_split(
        self, name: str, seen: Iterable[_Seen], mistakes: Mapping[int, ImageMistakes]
    ) -> list[dict[str, Any]]:
        labelled = {entry.found.image_id: entry for entry in seen if entry.found.image_id}
        sure = {image_id: self._sure(entry.found) for image_id, entry in labelled.items()}
        drawn = draw_split(
            self._files,
            self._root,
            self._truth,
            {name: sure},
            images=self._truth["images"],
            max_pixels=self._config.data.max_pixels,
            mistakes={name: mistakes},
        )
        readings = {entry.name: [reading.document() for reading in entry.readings] for entry in labelled.values()}
        return [{**entry, "read": readings[entry["image"]]} for entry in drawn]

    def _draw_unlabelled(self, name: str, seen: Iterable[_Seen]) -> list[dict[str, Any]]:
        names = {category["id"]: category["name"] for category in self._truth["categories"]}
        entries = []
        for number, entry in enumerate((entry for entry in seen if not entry.found.image_id), start=1):
            picture = self._unlabelled.read(entry.name, self._config.data.max_pixels)
            drawing = f"drawn/{plain_name(name)}/unlabelled/{drawing_name(number, entry.name)}"
            save_drawing(draw_detections(picture, self._sure(entry.found), names), self._files / drawing)
            read = [reading.document() for reading in entry.readings]
            entries.append({"image": entry.name, "model": name, "prediction": drawing, "read": read})
        return entries


def _record(config: Config, result: TestResult, trained_on: Mapping[str, str]) -> None:
    """Tell the database; evaluate has registered the models, but perhaps in another database."""
    with closing(open_database(config.database.url)) as database:
        for model in result.models:
            tag = trained_on.get(model.sha256, "")
            database.register_model(ModelRecord(model.sha256, model.uri, config.task, tag, None, ""))
            database.record_metrics(model.sha256, result.training_tag, "test", model.metrics)
            _log.info("tested the model selected by %s: %s", model.metric, metrics_line(model.metrics))
        if run_id := current_run_id():
            database.record_uses(run_id, [ModelUse(model.sha256, "tested") for model in result.models])
