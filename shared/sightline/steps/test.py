"""Test: measures the best candidates and the champions that were kept on images that no decision was based on."""

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
from sightline.config.own_code import own_code_digests
from sightline.config.schema import Config
from sightline.config.task_declarations import known_metrics, own_metrics, task_declaration
from sightline.data.label_schema import keypoint_schema
from sightline.data.repository.checkout import Checkout
from sightline.database import ModelRecord, ModelUse, open_database
from sightline.documents import FIRST_FORMAT
from sightline.errors import StepError
from sightline.evaluation.bootstrap import Resamples
from sightline.evaluation.drawings import draw_split, drawing_name, plain_name, save_drawing
from sightline.evaluation.environment import environment, use_own_cpus
from sightline.evaluation.inference import class_names, fetch_model, names_by_id, read_split, training_set_on_disk
from sightline.evaluation.rivals import Rival, load, prepare
from sightline.evaluation.shared_classes import SharedClasses
from sightline.evaluation.split_slices import slices_of_split
from sightline.evaluation.subjects import Subject, subjects
from sightline.evaluation.uncertainty import intervals
from sightline.evaluation.unlabelled import UnlabelledImages
from sightline.evaluation.user_metrics import measure_with_user_metrics
from sightline.files import write_atomically
from sightline.lock import exclusive_lock
from sightline.logs import Progress
from sightline.metrics.selection import metrics_line
from sightline.pod import current_run_id
from sightline.registry.champions import ChampionPointer
from sightline.registry.results import EvaluateResult, TestedModel, TestResult
from sightline.registry.store import find_result, folder_key, publish_result
from sightline.report.numbers import write_numbers
from sightline.report.pages.summary import SUMMARY
from sightline.report.pages.test_report import write_test_report
from sightline.storage import Storage, open_storage
from sightline.tasks.evaluators import Measurement, open_evaluator

if TYPE_CHECKING:
    from PIL.Image import Image

    from sightline.tasks.base import Prediction, Predictor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Source:
    """An image that is not loaded yet; ``id`` is the COCO id, 0 for an unlabeled image."""

    id: int
    name: str
    read: Callable[[], Image]


@dataclass(frozen=True, slots=True)
class _Seen:
    """The predictions of a model for one image: all scores, those above the threshold, and these as JSON values."""

    name: str
    found: Prediction
    sure: Prediction
    described: dict[str, Any]


def run(config: Config, code: str, evaluate: EvaluateResult) -> TestResult:
    """Run the best candidates and the kept champions on the test split and ``test.images``; draw, read, time.

    A champion that cannot be tested is left out with a note; a candidate that cannot be tested is an error.

    Args:
        config: The complete configuration.
        code: Digest of the step's code (:func:`sightline.code.reach.step_code`).
        evaluate: The selections.

    Raises:
        ConfigurationError: ``test.images`` contains no images.
        DataError: An image cannot be used.
        ModelFileError: A model is damaged, or has other classes or another task than the training set.
        StepError: No model was selected, or a candidate no longer exists.
    """
    if not evaluate.selections:
        raise StepError(f"evaluate selected no model for {evaluate.training_tag}; run evaluate again")
    storage = open_storage(config.storage.uri)
    unlabelled = UnlabelledImages(config.test.images)
    models = subjects(evaluate)
    tag = evaluate.training_tag
    key = step_key(
        "test", config, tag, *(model.sha256 for model in models), unlabelled.digest, code, *own_code_digests(config)
    )
    folder = Path(config.work.dir) / "test" / key
    with exclusive_lock(folder.with_name(f"{key}.lock"), config.work.lock_timeout_seconds):
        result = find_result(storage, TestResult, tag, key)
        if result is None:
            use_own_cpus()
            with training_set_on_disk(config, tag) as source:
                result = _Test(config, evaluate, storage, folder, source, unlabelled=unlabelled).publish(key, models)
        else:
            _log.info("tested already: %s", storage.uri_of(folder_key("test", tag, key)))
    _record(config, result, {model.sha256: model.training_tag for model in evaluate.models})
    return result


class _Test:
    """The test of some models on a test split and a set of unlabeled images."""

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
        self._slices = slices_of_split(config, self._truth, self._root)
        self._shown_from = task_declaration(config.task).shown_from(config.test.score_threshold)
        self._evaluator = open_evaluator(
            config.task,
            config.reading,
            names_by_id(self._truth),
            keypoint_schema(self._truth),
            config.evaluate.evaluator,
        )

    def publish(self, key: str, models: Sequence[Subject]) -> TestResult:
        """Run every model on every image, and publish the results."""
        if self._files.exists():
            shutil.rmtree(self._files)
        base = self._storage.uri_of(folder_key("test", self._tag, key))
        summary: dict[str, Any] = {
            "format": SUMMARY.format,
            "training_tag": self._tag,
            "split": "test",
            "score_threshold": self._shown_from,
            "images": len(self._truth["images"]),
            "classes": self._classes,
            "models": {},
            "selections": [asdict(selection) for selection in self._evaluate.selections],
            "drawn": [],
            "unlabelled": [],
        }
        tested: list[TestedModel] = []
        notes: list[str] = []
        for subject in models:
            if subject.role != "champion":
                tested.append(self._test(subject, self._load(subject), None, base=base, summary=summary))
            elif (found := self._test_champion(subject, base, summary, tested)).obstacle:
                notes.append(found.obstacle)
                _log.warning("the champion is not tested: %s", found.obstacle)
        write_atomically(self._files / "summary.json", json.dumps(summary, indent=1))
        write_numbers(self._files, summary)
        write_test_report(self._files / "report.html", self._files)
        result = TestResult(
            training_tag=self._tag,
            images=len(self._truth["images"]),
            unlabelled_images=len(self._unlabelled),
            models=tested,
            files=base,
            seconds=time.monotonic() - self._began,
            notes=notes,
            environment=environment(self._config.train.device),
        )
        digest = config_digest("test", self._config)
        return publish_result(self._storage, result, self._tag, key, files=self._files, config_digest=digest)

    def _test_champion(self, subject: Subject, base: str, summary: dict[str, Any], tested: list[TestedModel]) -> Rival:
        """Test a champion on the classes that it knows; if that is not possible, its obstacle is set."""
        task = self._config.task
        pointer = ChampionPointer(
            subject.metrics[0], subject.sha256, subject.uri, subject.training_tag, 0.0, "", "", task
        )
        rival = Rival(pointer, subject.name)
        prepare(rival, self._config, self._truth, self._folder / "models")
        if not rival.obstacle:
            with rival.attempt("test it"):
                predictor = load(rival, self._config.task, self._config.train.device)
                tested.append(self._test(subject, predictor, rival.shared, base=base, summary=summary))
        return rival

    def _test(
        self,
        subject: Subject,
        predictor: Predictor,
        shared: SharedClasses | None,
        *,
        base: str,
        summary: dict[str, Any],
    ) -> TestedModel:
        """Run one model on every image, write its files, and add it to the summary."""
        seen, images_per_second = self._look(predictor, shared)
        measured = self._measure(seen, shared)
        known = [] if shared is None or shared.complete else list(shared.names)
        summary["models"][subject.name] = {
            "sha256": subject.sha256,
            "uri": subject.uri,
            "training_tag": predictor.card.training_tag,
            "role": subject.role,
            "classes": known,
            "images_per_second": images_per_second,
            **measured.document(),
            "intervals": self._intervals(measured),
        }
        summary["drawn"] += self._draw_split(subject.name, seen, measured)
        summary["unlabelled"] += self._draw_unlabelled(subject.name, seen)
        predictions = f"predictions/{plain_name(subject.name)}/predictions.json"
        write_atomically(self._files / predictions, json.dumps(self._predictions(subject, seen), indent=1))
        return TestedModel(
            metric=", ".join(subject.metrics),
            uri=subject.uri,
            sha256=subject.sha256,
            metrics=measured.metrics,
            images_per_second=images_per_second,
            predictions=f"{base}/{predictions}",
            name=subject.name,
            role=subject.role,
            classes=known,
        )

    def _load(self, subject: Subject) -> Predictor:
        from sightline.tasks.base import load_predictor

        path = fetch_model(subject.uri, subject.sha256, self._folder / "models")
        return load_predictor(path, self._config.train.device, task=self._config.task, classes=self._classes)

    def _sources(self) -> list[_Source]:
        from sightline.data.loading.dataset import read_listed_image

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

    def _look(self, predictor: Predictor, shared: SharedClasses | None) -> tuple[list[_Seen], float]:
        """Run the model on each image separately, after a warm-up; returns predictions and images per second."""
        sources, predictor = self._sources(), predictor.for_split(self._truth)
        seen = []
        if sources:
            predictor.predict(sources[0].read(), sources[0].id)
        began = time.monotonic()
        with Progress("test images", total=len(sources), unit="images") as progress:
            for source in progress.track(sources):
                found = predictor.predict(source.read(), source.id)
                if shared is not None:
                    (found,) = shared.translated([found])
                sure = found.above(self._shown_from)
                seen.append(_Seen(source.name, found, sure, self._evaluator.describe(sure, brief=True)))
        seconds = time.monotonic() - began
        return seen, len(sources) / seconds if sources else 0.0

    def _measure(self, seen: Iterable[_Seen], shared: SharedClasses | None) -> Measurement:
        labelled = [entry.found for entry in seen if entry.found.image_id]
        truth, evaluator = self._truth, self._evaluator
        if shared is not None and not shared.complete:
            truth, evaluator = shared.truth(truth), evaluator.for_classes(shared.names)
        threshold, metrics = self._config.test.score_threshold, self._config.evaluate.metrics
        measured = measure_with_user_metrics(evaluator, truth, labelled, threshold, metrics)
        return self._slices.added_to(measured)

    def _intervals(self, measured: Measurement) -> dict[str, list[float]]:
        """The 95 % intervals of the most important metrics."""
        resamples = Resamples(self._slices.groups, self._config.evaluate.gate.resamples, self._config.seed)
        return intervals(measured, self._slices.metrics, resamples)

    def _predictions(self, subject: Subject, seen: Iterable[_Seen]) -> dict[str, Any]:
        """``predictions.json``: predictions and readings of each image."""
        return {
            "format": FIRST_FORMAT,
            "model": {"sha256": subject.sha256, "uri": subject.uri},
            "score_threshold": self._shown_from,
            "images": [
                {"image": entry.name, "labelled": entry.found.image_id > 0, **entry.described} for entry in seen
            ],
        }

    def _draw_split(self, name: str, seen: Iterable[_Seen], measured: Measurement) -> list[dict[str, Any]]:
        sure = {entry.found.image_id: entry.sure for entry in seen if entry.found.image_id}
        return draw_split(
            self._files,
            self._root,
            self._truth,
            {name: sure},
            images=self._truth["images"],
            max_pixels=self._config.data.max_pixels,
            evaluator=self._evaluator,
            measured={name: measured},
        )

    def _draw_unlabelled(self, name: str, seen: Iterable[_Seen]) -> list[dict[str, Any]]:
        entries = []
        for number, entry in enumerate((entry for entry in seen if not entry.found.image_id), start=1):
            picture = self._unlabelled.read(entry.name, self._config.data.max_pixels)
            drawing = f"drawn/{plain_name(name)}/unlabelled/{drawing_name(number, entry.name)}"
            save_drawing(self._evaluator.draw(picture, entry.sure), self._files / drawing)
            texts = [text.model_dump() for text in self._evaluator.texts(entry.described)]
            entries.append({"image": entry.name, "model": name, "prediction": drawing, "texts": texts})
        return entries


def _record(config: Config, result: TestResult, trained_on: Mapping[str, str]) -> None:
    """Record metrics and models in the database; evaluate may have registered them in another database."""
    with closing(open_database(config.database.url)) as database:
        for model in result.models:
            tag = trained_on.get(model.sha256, "")
            database.register_model(ModelRecord(model.sha256, model.uri, config.task, tag, None, ""))
            if not model.classes:  # metrics on a subset of the classes are not comparable with those of other models
                database.record_metrics(model.sha256, result.training_tag, "test", model.metrics)
            role = {"champion": "the champion that stays", "candidate": "the best candidate"}.get(
                model.role, "the model selected"
            )
            numbers = metrics_line(
                model.metrics, [*known_metrics([config.task]), *own_metrics(config.evaluate.select_by)]
            )
            _log.info("tested %s by %s: %s", role, model.metric, numbers or "no metrics, the test split is empty")
        if run_id := current_run_id():
            database.record_uses(run_id, [ModelUse(model.sha256, "tested") for model in result.models])
