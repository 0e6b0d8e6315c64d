"""Evaluate: measures candidates and the current champion on the val split, and selects the best by each metric."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.config.digest import config_digest, step_key
from sightline.config.metric_choice import check_select_by
from sightline.config.schema import Config
from sightline.config.task_declarations import known_metrics, task_declaration
from sightline.data.label_schema import keypoint_schema
from sightline.data.repository.checkout import Checkout
from sightline.data.tags import DatasetTag
from sightline.errors import StepError
from sightline.evaluation.drawings import draw_split, worst_and_spread
from sightline.evaluation.inference import (
    class_names,
    fetch_model,
    infer_split,
    names_by_id,
    read_split,
    training_set_on_disk,
)
from sightline.evaluation.rivals import Rival, free_memory, load, prepare, rivals, still_unreadable
from sightline.evaluation.shared_classes import SharedClasses
from sightline.files import write_atomically
from sightline.lock import exclusive_lock
from sightline.metrics.selection import Champion, Choice, best_candidate, choose, metrics_line
from sightline.registry.champions import ChampionState, look_up_champion
from sightline.registry.promotion import decision_holds, record_models
from sightline.registry.results import Candidate, ChampionKind, EvaluateResult, ScoredModel, Selection, TrainResult
from sightline.registry.selected_models import model_uri, publish_model
from sightline.registry.store import find_result, folder_key, publish_result
from sightline.report.pages.evaluation_report import write_evaluation_report
from sightline.report.pages.summary import SUMMARY
from sightline.storage import Storage, open_storage
from sightline.tasks.evaluators import Measurement, open_evaluator

if TYPE_CHECKING:
    from sightline.tasks.base import Prediction, Predictor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Contender:
    """A model file to measure, on the work volume; equal files have equal ``sha256`` and ``path``."""

    name: str
    uri: str
    sha256: str
    training_tag: str
    path: Path


def run(config: Config, code: str, train: TrainResult, *, device: str = "") -> EvaluateResult:
    """Measure the candidates and the champion, and select the best by each of ``evaluate.select_by``.

    Args:
        config: The complete configuration.
        code: Digest of the step's code (:func:`sightline.code.reach.step_code`).
        train: The candidates.
        device: Device for inference; empty: ``train.device``.  It is not part of the decision's key.

    Raises:
        ConfigurationError: A metric does not exist, or is not computed with this configuration.
        DataError: The val split cannot be used.
        ModelFileError: A candidate is damaged, or has other classes or another task than the training set.
        StepError: There are no candidates, or a model no longer exists.
    """
    result = decide(config, code, train, device=device)
    for selection in result.selections:
        if not selection.obstacle:
            _log.info("%s: %s", selection.metric, selection.reason)
    return result


def decide(config: Config, code: str, train: TrainResult, *, device: str = "") -> EvaluateResult:
    """Like :func:`run`, but decisions without obstacles are not logged."""
    check_select_by(config)
    if not train.candidates:
        raise StepError(f"training on {train.training_tag} produced no candidates; run train again")
    device = device or config.train.device
    storage = open_storage(config.storage.uri)
    key = step_key(
        "evaluate", config, train.training_commit, *(candidate.sha256 for candidate in train.candidates), code
    )
    folder = Path(config.work.dir) / "evaluate" / key
    with exclusive_lock(folder.with_name(f"{key}.lock"), config.work.lock_timeout_seconds):
        result = find_result(storage, EvaluateResult, train.training_tag, key)
        if result is None or not _holds(config, storage, train, result, folder, device=device):
            with training_set_on_disk(config, train.training_tag, train.training_commit) as source:
                evaluation = _Evaluation(config, train, storage, folder, source, device=device)
                result = evaluation.publish(key, replace=result is not None)
    record_models(config, train, storage, result)
    for selection in result.selections:
        if selection.obstacle:
            _log.warning("%s: %s", selection.metric, selection.reason)
    return result


def _holds(
    config: Config, storage: Storage, train: TrainResult, result: EvaluateResult, folder: Path, *, device: str
) -> bool:
    """Whether a finished decision is still valid: its champions exist, and have the same faults as before."""
    dataset = DatasetTag.parse(train.training_tag).dataset
    if config.data.fold:
        return True
    if not decision_holds(storage, dataset, config.task, result):
        return False
    doubtful = {
        selection.metric: state.pointer
        for selection in result.selections
        if selection.champion == "unreadable"
        and (state := look_up_champion(storage, dataset, selection.metric, config.task)).pointer is not None
        and state.sha256 == selection.previous_sha256
    }
    if not doubtful:
        return True
    with training_set_on_disk(config, train.training_tag, train.training_commit) as source:
        truth = read_split(source, "val", config.data.fold)
        pointers = {pointer.sha256: pointer for pointer in doubtful.values() if pointer is not None}
        models = folder / "models"
        return all(still_unreadable(pointer, config, truth, models, device) for pointer in pointers.values())


def _reason_of_fold(fold: int, folds: int, choice: Choice) -> str:
    return (
        f"{choice.candidate} of fold {fold} of {folds}: {choice.value:.4g}; a run with data.fold measures a method and "
        "changes no champion"
    )


class _Evaluation:
    """One comparison of candidates and champions on the val split."""

    def __init__(
        self, config: Config, train: TrainResult, storage: Storage, folder: Path, source: Checkout, *, device: str
    ) -> None:
        self._began = time.monotonic()
        self._device = device
        self._config, self._train, self._storage, self._folder = config, train, storage, folder
        self._tag = train.training_tag
        dataset = DatasetTag.parse(self._tag).dataset
        self._truth, self._root = read_split(source, "val", config.data.fold), source.path
        self._classes = class_names(self._truth)
        self._evaluator = open_evaluator(
            config.task, config.reading, names_by_id(self._truth), keypoint_schema(self._truth)
        )
        self._states = {
            metric: ChampionState(None, 0)
            if config.data.fold
            else look_up_champion(storage, dataset, metric, config.task)
            for metric in config.evaluate.select_by
        }
        self._contenders = [
            _Contender(
                entry.name, entry.uri, entry.sha256, train.trained_on or self._tag, self._fetch(entry.uri, entry.sha256)
            )
            for entry in train.candidates
        ]
        self._rivals = rivals(self._states)
        self._found: dict[str, list[Prediction]] = {}
        self._measured: dict[str, Measurement] = {}
        self._compared: dict[tuple[str, tuple[str, ...]], dict[str, float]] = {}

    def publish(self, key: str, *, replace: bool) -> EvaluateResult:
        """Measure everything, decide, and publish the decision."""
        for contender in self._contenders:
            self._measure(contender)
        for rival in self._rivals.values():
            self._measure_rival(rival)
        selections = [self._select(metric, state) for metric, state in self._states.items()]
        files = self._folder / "files"
        summary = self._write_files(files, selections)
        self._publish_models(selections, summary)
        result = EvaluateResult(
            training_tag=self._tag,
            models=[
                ScoredModel(
                    entry.name,
                    entry.uri,
                    entry.sha256,
                    entry.training_tag,
                    self._metrics(entry.sha256),
                    self._known_classes(entry.sha256),
                )
                for entry in self._contenders
            ],
            selections=selections,
            files=self._storage.uri_of(folder_key("evaluate", self._tag, key)),
            seconds=time.monotonic() - self._began,
        )
        digest = config_digest("evaluate", self._config)
        return publish_result(self._storage, result, self._tag, key, files=files, config_digest=digest, replace=replace)

    def _fetch(self, uri: str, sha256: str) -> Path:
        return fetch_model(uri, sha256, self._folder / "models")

    def _measure(self, contender: _Contender) -> None:
        from sightline.tasks.base import load_predictor

        if contender.sha256 not in self._measured:
            config = self._config
            predictor = load_predictor(contender.path, self._device, task=config.task, classes=self._classes)
            found = self._infer(predictor, contender.sha256)
            measured = self._evaluator.measure(self._truth, found, config.evaluate.score_threshold)
            self._keep(contender, found, measured)

    def _measure_rival(self, rival: Rival) -> None:
        """Measure a champion on the classes that it shares with the dataset; record the obstacle if that fails."""
        pointer = rival.pointer
        if pointer.sha256 in self._measured:
            return
        prepare(rival, self._config, self._truth, self._folder / "models")
        if not rival.obstacle:
            shared, path = rival.shared, rival.path
            assert shared is not None and path is not None  # noqa: S101, PT018
            with rival.attempt("measure it"):
                found = shared.translated(self._infer(load(rival, self._config.task, self._device), pointer.sha256))
                measured = self._measured_on(shared, found)
                contender = _Contender(rival.name, pointer.uri, pointer.sha256, pointer.training_tag, path)
                self._contenders.append(contender)
                self._keep(contender, found, measured)
        if rival.obstacle:
            free_memory()
            _log.warning("the champion is left out: %s", rival.obstacle)

    def _infer(self, predictor: Predictor, sha256: str) -> list[Prediction]:
        kept = self._folder / f"detections-{sha256[:16]}.json"
        return infer_split(
            predictor,
            self._truth,
            self._root,
            prediction=self._evaluator.prediction,
            kept=kept,
            max_pixels=self._config.data.max_pixels,
        )

    def _keep(self, contender: _Contender, found: list[Prediction], measured: Measurement) -> None:
        self._found[contender.sha256], self._measured[contender.sha256] = found, measured
        _log.info(
            "evaluated %s: %s", contender.name, metrics_line(measured.metrics, known_metrics([self._config.task]))
        )

    def _measured_on(self, shared: SharedClasses, found: list[Prediction]) -> Measurement:
        """All metrics on a subset of the classes."""
        evaluator = self._evaluator if shared.complete else self._evaluator.for_classes(shared.names)
        threshold = self._config.evaluate.score_threshold
        return evaluator.measure(shared.truth(self._truth), shared.restricted(found), threshold)

    def _metrics(self, sha256: str) -> dict[str, float]:
        return self._measured[sha256].metrics

    def _known_classes(self, sha256: str) -> list[str]:
        """The classes on which a model was measured; empty for all."""
        rival = self._rivals.get(sha256)
        return [] if rival is None or rival.shared is None or rival.shared.complete else list(rival.shared.names)

    def _metrics_on(self, sha256: str, shared: SharedClasses) -> dict[str, float]:
        """A candidate's metrics on the classes that a champion knows."""
        key = (sha256, shared.names)
        if key not in self._compared:
            self._compared[key] = self._measured_on(shared, self._found[sha256]).metrics
        return self._compared[key]

    def _select(self, metric: str, state: ChampionState) -> Selection:
        candidates = {candidate.name: self._metrics(candidate.sha256) for candidate in self._train.candidates}
        best = next(one for one in self._train.candidates if one.name == best_candidate(metric, candidates))
        kind, champion = self._champion(metric, state, best)
        settings = self._config.evaluate
        choice = choose(
            metric,
            candidates,
            champion,
            settings.min_improvement,
            minimum=settings.minimum_of(metric),
            replace_unmeasurable=settings.replace_unreadable,
        )
        if fold := self._config.data.fold:
            choice = replace(choice, promoted=False, reason=_reason_of_fold(fold, self._config.data.folds, choice))
        stays = kind == "measured" and not choice.promoted
        winner = next(entry for entry in self._contenders if entry.sha256 == (state.sha256 if stays else best.sha256))
        shared = self._rivals[state.sha256].shared if kind == "measured" and state.sha256 in self._rivals else None
        part = shared if shared is not None and not shared.complete else None
        value = choice.value
        if champion is not None and champion.value is not None and (stays or part is not None):
            value = champion.value if stays else champion.rival_value or 0.0
        return Selection(
            metric=metric,
            uri=model_uri(self._storage, self._tag, metric, winner.sha256),
            sha256=winner.sha256,
            name=winner.name,
            value=value,
            previous_sha256=state.sha256,
            previous_value=None if champion is None else champion.value,
            promoted=choice.promoted,
            reason=choice.reason,
            candidate=best.name,
            candidate_sha256=best.sha256,
            candidate_uri=best.uri,
            candidate_value=choice.value,
            champion=kind,
            champion_tag="" if state.pointer is None else state.pointer.training_tag,
            obstacle="" if champion is None else champion.obstacle,
            compared_classes=[] if part is None else list(part.names),
            added_classes=[] if part is None else list(part.added),
            removed_classes=[] if part is None else list(part.removed),
        )

    def _champion(self, metric: str, state: ChampionState, best: Candidate) -> tuple[ChampionKind, Champion | None]:
        """The champion to compare with the best candidate by one metric."""
        if state.pointer is None:
            return ("unreadable", Champion("", None, state.fault)) if state.fault else ("none", None)
        tag, own = state.pointer.training_tag, {entry.sha256: entry.name for entry in self._train.candidates}
        if state.sha256 in own:
            same = best.name if state.sha256 == best.sha256 else own[state.sha256]
            value = self._metrics(state.sha256).get(metric)
            return "measured", Champion(tag, value, "", same)
        rival = self._rivals[state.sha256]
        if rival.obstacle or rival.shared is None:
            return rival.kind, Champion(tag, None, rival.obstacle)
        value = self._metrics(state.sha256).get(metric)
        if rival.shared.complete and value is not None:
            return "measured", Champion(tag, value)
        against = self._metrics_on(best.sha256, rival.shared).get(metric)
        if value is None or against is None:
            lacking = f"has no {metric} on the classes that both know"
            return "incomparable", Champion(tag, None, f"the champion of {tag} {lacking} ({rival.shared.difference})")
        return "measured", Champion(tag, value, rival_value=against, difference=rival.shared.difference)

    def _write_files(self, files: Path, selections: Sequence[Selection]) -> dict[str, Any]:
        """Draw images, and write ``summary.json`` and the report; returns the summary."""
        if files.exists():
            shutil.rmtree(files)
        threshold = task_declaration(self._config.task).shown_from(self._config.evaluate.score_threshold)
        shown: dict[str, dict[int, Prediction]] = {}
        for entry in self._contenders:
            if entry.sha256 not in {other.sha256 for other in self._contenders if other.name in shown}:
                shown[entry.name] = {found.image_id: found.above(threshold) for found in self._found[entry.sha256]}
        measured = {entry.name: self._measured[entry.sha256] for entry in self._contenders}
        together = {
            image["id"]: sum(measured[name].remark(image["id"]).mistakes for name in shown)
            for image in self._truth["images"]
        }
        images = worst_and_spread(self._truth["images"], self._config.evaluate.drawn_images, together)
        summary = {
            "format": SUMMARY.format,
            "training_tag": self._tag,
            "split": "val",
            "score_threshold": threshold,
            "images": len(self._truth["images"]),
            "classes": self._classes,
            "models": {
                entry.name: {
                    "sha256": entry.sha256,
                    "uri": entry.uri,
                    "training_tag": entry.training_tag,
                    "classes": self._known_classes(entry.sha256),
                    **self._measured[entry.sha256].document(),
                }
                for entry in self._contenders
            },
            "selections": [asdict(selection) for selection in selections],
            "drawn": draw_split(
                files,
                self._root,
                self._truth,
                shown,
                images=images,
                max_pixels=self._config.data.max_pixels,
                evaluator=self._evaluator,
                measured=measured,
            ),
        }
        write_atomically(files / "summary.json", json.dumps(summary, indent=1))
        write_evaluation_report(files / "report.html", files)
        return summary

    def _publish_models(self, selections: Sequence[Selection], summary: dict[str, Any]) -> None:
        paths = {entry.sha256: entry.path for entry in self._contenders}
        for selection in selections:
            model = {selection.name: summary["models"][selection.name]}
            described = {**summary, "models": model, "selections": [asdict(selection)], "drawn": []}
            publish_model(self._storage, self._tag, selection, paths[selection.sha256], described)
