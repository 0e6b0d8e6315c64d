"""Evaluate: measures candidates and the current champion on the val split, and selects the best by each metric."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.config.digest import config_digest, step_key
from sightline.config.metric_choice import check_gate, check_select_by
from sightline.config.own_code import own_code_digests
from sightline.config.schema import Config
from sightline.config.task_declarations import headline_metrics, task_declaration
from sightline.data.label_schema import keypoint_schema
from sightline.data.repository.checkout import Checkout
from sightline.data.tags import DatasetTag
from sightline.database import open_database
from sightline.documents import DocumentError
from sightline.errors import StepError, StorageError
from sightline.evaluation.bootstrap import Resamples
from sightline.evaluation.contenders import Contender, Contenders
from sightline.evaluation.decision import Decision
from sightline.evaluation.drawings import draw_split, worst_and_spread
from sightline.evaluation.environment import use_own_cpus
from sightline.evaluation.inference import class_names, names_by_id, read_split, training_set_on_disk
from sightline.evaluation.leaks import LeakCheck
from sightline.evaluation.parity import compare_predictions, parity
from sightline.evaluation.rivals import rivals, still_unreadable
from sightline.evaluation.split_slices import slices_of_split
from sightline.evaluation.uncertainty import intervals
from sightline.files import write_atomically
from sightline.lock import exclusive_lock
from sightline.registry.champions import ChampionState, look_up_champion
from sightline.registry.promotion import decision_holds, record_models
from sightline.registry.results import Candidate, EvaluateResult, ScoredModel, Selection, TrainResult
from sightline.registry.selected_models import publish_model
from sightline.registry.store import find_result, folder_key, publish_result
from sightline.report.numbers import write_numbers
from sightline.report.pages.evaluation_report import write_evaluation_report
from sightline.report.pages.summary import SUMMARY
from sightline.storage import Storage, open_storage, open_uri
from sightline.tasks.evaluators import open_evaluator

if TYPE_CHECKING:
    from sightline.tasks.base import Prediction
    from sightline.tasks.exporters import Agreement

_log = logging.getLogger(__name__)


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
    check_gate(config)
    if not train.candidates:
        raise StepError(f"training on {train.training_tag} produced no candidates; run train again")
    device = device or config.train.device
    storage = open_storage(config.storage.uri)
    key = step_key(
        "evaluate",
        config,
        train.training_commit,
        *(candidate.sha256 for candidate in train.candidates),
        code,
        *own_code_digests(config),
    )
    folder = Path(config.work.dir) / "evaluate" / key
    with exclusive_lock(folder.with_name(f"{key}.lock"), config.work.lock_timeout_seconds):
        result = find_result(storage, EvaluateResult, train.training_tag, key)
        if result is None or not _holds(config, storage, train, result, folder, device=device):
            use_own_cpus()
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


class _Evaluation:
    """One comparison of candidates and champions on the val split."""

    def __init__(
        self, config: Config, train: TrainResult, storage: Storage, folder: Path, source: Checkout, *, device: str
    ) -> None:
        self._began = time.monotonic()
        self._config, self._train, self._storage, self._folder = config, train, storage, folder
        self._tag, self._source = train.training_tag, source
        dataset = DatasetTag.parse(self._tag).dataset
        self._truth, self._root = read_split(source, "val", config.data.fold), source.path
        self._evaluator = open_evaluator(
            config.task,
            config.reading,
            names_by_id(self._truth),
            keypoint_schema(self._truth),
            config.evaluate.evaluator,
        )
        self._states = {
            metric: ChampionState(None, 0)
            if config.data.fold
            else look_up_champion(storage, dataset, metric, config.task)
            for metric in config.evaluate.select_by
        }
        self._contenders = Contenders(config, self._truth, self._root, folder, self._evaluator, device)
        self._rivals = rivals(self._states)

    def publish(self, key: str, *, replace: bool) -> EvaluateResult:
        """Measure everything, decide, and publish the decision."""
        contenders = self._contenders
        slices = slices_of_split(self._config, self._truth, self._root)
        decision = Decision(self._config, self._storage, self._train, contenders, self._rivals, slices.images)
        contenders.measure_candidates(self._train)
        contenders.measure_rivals(self._rivals)
        self._check_trust()
        distinct = {entry.sha256: entry.measured for entry in contenders.entries}
        described = {sha256: slices.added_to(measured) for sha256, measured in distinct.items()}
        for entry in contenders.entries:
            entry.measured = described[entry.sha256]
        selections = [decision.select(metric, state) for metric, state in self._states.items()]
        files = self._folder / "files"
        summary = self._write_files(files, selections, decision.resamples)
        self._publish_models(selections, summary)
        result = EvaluateResult(
            training_tag=self._tag,
            models=[
                ScoredModel(
                    entry.name,
                    entry.uri,
                    entry.sha256,
                    entry.training_tag,
                    entry.measured.metrics,
                    entry.known_classes,
                    entry.profile,
                    entry.leaks,
                    entry.parity,
                )
                for entry in contenders.entries
            ],
            selections=selections,
            files=self._storage.uri_of(folder_key("evaluate", self._tag, key)),
            seconds=time.monotonic() - self._began,
        )
        digest = config_digest("evaluate", self._config)
        return publish_result(self._storage, result, self._tag, key, files=files, config_digest=digest, replace=replace)

    def _check_trust(self) -> None:
        """Look for leaks, and compare the candidates with what training measured before they were saved."""
        splits = {"val": self._truth, "test": read_split(self._source, "test")}
        train = read_split(self._source, "train", self._config.data.fold)
        with closing(open_database(self._config.database.url)) as database:
            check = LeakCheck(splits, self._tag, train, database, self._contenders.fetch)
            for entry in self._contenders.entries:
                entry.leaks = check.check(entry.card, entry.training_tag)
                for leak in entry.leaks.leaks:
                    _log.warning("%s: %s", entry.name, leak.text)
        if not self._train.trained_on:
            entries = {entry.name: entry for entry in self._contenders.entries}
            for candidate in self._train.candidates:
                entry = entries[candidate.name]
                entry.parity = parity(candidate.metrics, entry.measured.metrics, self._agreement(candidate, entry))

    def _agreement(self, candidate: Candidate, entry: Contender) -> Agreement | None:
        """The agreement of a loaded candidate with the predictions of the network that was saved."""
        if not candidate.predictions:
            return None
        images, size = self._truth["images"], entry.card.preprocessing.image_size
        storage, key = open_uri(candidate.predictions)
        try:
            reference, _ = storage.read_bytes(key)
            return compare_predictions(reference.decode(), entry.predictions, images, self._config.task, size)
        except (StorageError, DocumentError, UnicodeDecodeError) as error:
            _log.warning(
                "cannot compare %s with its predictions before it was saved, only its metrics: %s", entry.name, error
            )
            return None

    def _write_files(self, files: Path, selections: Sequence[Selection], resamples: Resamples) -> dict[str, Any]:
        """Draw images, and write ``summary.json`` and the report; returns the summary."""
        if files.exists():
            shutil.rmtree(files)
        entries = self._contenders.entries
        threshold = task_declaration(self._config.task).shown_from(self._config.evaluate.score_threshold)
        shown: dict[str, dict[int, Prediction]] = {}
        for entry in entries:
            if entry.sha256 not in {other.sha256 for other in entries if other.name in shown}:
                shown[entry.name] = {found.image_id: found.above(threshold) for found in entry.predictions}
        measured = {entry.name: entry.measured for entry in entries}
        together = {
            image["id"]: sum(measured[name].remark(image["id"]).mistakes for name in shown)
            for image in self._truth["images"]
        }
        summary = {
            "format": SUMMARY.format,
            "training_tag": self._tag,
            "split": "val",
            "score_threshold": threshold,
            "images": len(self._truth["images"]),
            "classes": class_names(self._truth),
            "models": {entry.name: self._described(entry, resamples) for entry in entries},
            "selections": [asdict(selection) for selection in selections],
            "drawn": draw_split(
                files,
                self._root,
                self._truth,
                shown,
                images=worst_and_spread(self._truth["images"], self._config.evaluate.drawn_images, together),
                max_pixels=self._config.data.max_pixels,
                evaluator=self._evaluator,
                measured=measured,
            ),
        }
        write_atomically(files / "summary.json", json.dumps(summary, indent=1))
        write_numbers(files, summary)
        write_evaluation_report(files / "report.html", files)
        return summary

    def _described(self, entry: Contender, resamples: Resamples) -> dict[str, Any]:
        """A model in ``summary.json``."""
        headlines = {metric.name for metric in headline_metrics(self._config.task)}
        return {
            "sha256": entry.sha256,
            "uri": entry.uri,
            "training_tag": entry.training_tag,
            "classes": entry.known_classes,
            **entry.measured.document(),
            "intervals": intervals(entry.measured, headlines | set(self._config.evaluate.select_by), resamples),
            "profile": None if entry.profile is None else asdict(entry.profile),
            "leaks": None if entry.leaks is None else asdict(entry.leaks),
            "parity": entry.parity,
        }

    def _publish_models(self, selections: Sequence[Selection], summary: dict[str, Any]) -> None:
        for selection in selections:
            model = {selection.name: summary["models"][selection.name]}
            described = {**summary, "models": model, "selections": [asdict(selection)], "drawn": []}
            publish_model(self._storage, self._tag, selection, self._contenders.of(selection.sha256).path, described)
