"""The models of an evaluation, candidates and champions, with everything that is measured of each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.config.schema import Config
from sightline.config.task_declarations import known_metrics, own_metrics
from sightline.data.formats.coco import CocoDocument
from sightline.evaluation.environment import device_name
from sightline.evaluation.inference import class_names, fetch_model, infer_split
from sightline.evaluation.profile import PROFILED_IMAGES, profile_model
from sightline.evaluation.rivals import Rival, free_memory, load, prepare
from sightline.evaluation.shared_classes import SharedClasses
from sightline.evaluation.user_metrics import measure_with_user_metrics
from sightline.metrics.selection import metrics_line
from sightline.registry.leak_report import LeakReport
from sightline.registry.model_profile import ModelProfile
from sightline.registry.results import TrainResult
from sightline.tasks.evaluators import Evaluator, Measurement

if TYPE_CHECKING:
    from sightline.models.model_file import ModelCard
    from sightline.tasks.base import Prediction, Predictor

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Contender:
    """A model that was measured, on the work volume.

    Attributes:
        name: Its name among the scored models.
        uri: The model file.
        sha256: SHA-256 of the model file.
        training_tag: The training set it was trained on.
        path: The model file on the work volume.
        card: Its card.
        predictions: Its predictions for the images of the split.
        measured: Its measurement, on the classes that it knows.
        profile: Its speed and size; None for a split without images.
        shared: The classes that it shares with the dataset; None: all.
        leaks: The images of val and test that it was trained on; None until it was checked.
        parity: How its predictions and metrics compare with those before it was saved; may be empty.
    """

    name: str
    uri: str
    sha256: str
    training_tag: str
    path: Path
    card: ModelCard
    predictions: list[Prediction]
    measured: Measurement
    profile: ModelProfile | None = None
    shared: SharedClasses | None = None
    leaks: LeakReport | None = None
    parity: str = ""

    @property
    def known_classes(self) -> list[str]:
        """The classes on which it was measured; empty for all."""
        return [] if self.shared is None or self.shared.complete else list(self.shared.names)


@dataclass
class Contenders:
    """Measures models on one split; models with equal files are measured once.

    Attributes:
        config: The complete configuration.
        truth: The split.
        root: The folder that its file names are relative to.
        folder: Folder for model files and kept predictions.
        evaluator: Measures predictions.
        device: Device for inference.
        entries: The measured models; several candidates may be the same model.
    """

    config: Config
    truth: CocoDocument
    root: Path
    folder: Path
    evaluator: Evaluator
    device: str
    entries: list[Contender] = field(default_factory=list)
    _compared: dict[tuple[str, tuple[str, ...]], Measurement] = field(default_factory=dict)

    def of(self, sha256: str) -> Contender:
        """The first measured model with this file."""
        return next(entry for entry in self.entries if entry.sha256 == sha256)

    def fetch(self, uri: str, sha256: str) -> Path:
        """The verified model file on the work volume."""
        return fetch_model(uri, sha256, self.folder / "models")

    def measure_candidates(self, train: TrainResult) -> None:
        """Measure the candidates of train on all classes."""
        from sightline.tasks.base import load_predictor

        tag = train.trained_on or train.training_tag
        paths = {one.sha256: self.fetch(one.uri, one.sha256) for one in train.candidates}  # all, before any is measured
        for candidate in train.candidates:
            path = paths[candidate.sha256]
            same = next((entry for entry in self.entries if entry.sha256 == candidate.sha256), None)
            if same is not None:
                self.entries.append(replace(same, name=candidate.name, uri=candidate.uri))
                continue
            predictor = load_predictor(path, self.device, task=self.config.task, classes=class_names(self.truth))
            found = self._infer(predictor, candidate.sha256)
            measured = self._measured(self.evaluator, self.truth, found)
            entry = Contender(
                candidate.name, candidate.uri, candidate.sha256, tag, path, predictor.card, found, measured
            )
            self._add(entry, predictor)

    def measure_rivals(self, rivals: Mapping[str, Rival]) -> None:
        """Measure the champions on the classes that they share with the dataset; record the obstacle if that fails."""
        for rival in rivals.values():
            if not any(entry.sha256 == rival.pointer.sha256 for entry in self.entries):
                self._measure_rival(rival)

    def _measure_rival(self, rival: Rival) -> None:
        pointer = rival.pointer
        prepare(rival, self.config, self.truth, self.folder / "models")
        if not rival.obstacle:
            shared, path = rival.shared, rival.path
            assert shared is not None and path is not None  # noqa: S101, PT018
            with rival.attempt("measure it"):
                predictor = load(rival, self.config.task, self.device)
                found = shared.translated(self._infer(predictor, pointer.sha256))
                entry = Contender(
                    rival.name, pointer.uri, pointer.sha256, pointer.training_tag, path, predictor.card, found,
                    self._measured_on(shared, found), shared=shared,
                )  # fmt: skip
                self._add(entry, predictor)
        if rival.obstacle:
            free_memory()
            _log.warning("the champion is left out: %s", rival.obstacle)

    def measured_on(self, sha256: str, shared: SharedClasses) -> Measurement:
        """The measurement of a model on the classes that a champion knows."""
        if shared.complete:
            return self.of(sha256).measured
        key = (sha256, shared.names)
        if key not in self._compared:
            self._compared[key] = self._measured_on(shared, self.of(sha256).predictions)
        return self._compared[key]

    def _infer(self, predictor: Predictor, sha256: str) -> list[Prediction]:
        return infer_split(
            predictor,
            self.truth,
            self.root,
            prediction=self.evaluator.prediction,
            kept=self.folder / f"detections-{sha256[:16]}.json",
            max_pixels=self.config.data.max_pixels,
        )

    def _add(self, entry: Contender, predictor: Predictor) -> None:
        entry.profile = self._profile(predictor, entry.path)
        self.entries.append(entry)
        numbers = metrics_line(
            entry.measured.metrics, [*known_metrics([self.config.task]), *own_metrics(self.config.evaluate.select_by)]
        )
        _log.info("evaluated %s: %s", entry.name, numbers)

    def _profile(self, predictor: Predictor, path: Path) -> ModelProfile | None:
        from sightline.data.loading.dataset import read_listed_image

        listed = self.truth["images"][:PROFILED_IMAGES]
        images = [read_listed_image(self.root, image, self.config.data.max_pixels) for image in listed]
        ids = [image["id"] for image in listed]
        return profile_model(predictor.for_split(self.truth), path, images, ids, device_name(self.device))

    def _measured_on(self, shared: SharedClasses, found: list[Prediction]) -> Measurement:
        evaluator = self.evaluator if shared.complete else self.evaluator.for_classes(shared.names)
        return self._measured(evaluator, shared.truth(self.truth), shared.restricted(found))

    def _measured(self, evaluator: Evaluator, truth: CocoDocument, found: list[Prediction]) -> Measurement:
        settings = self.config.evaluate
        return measure_with_user_metrics(evaluator, truth, found, settings.score_threshold, settings.metrics)
