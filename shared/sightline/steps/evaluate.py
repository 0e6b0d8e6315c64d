"""Evaluate: every candidate and the present champion on the val split; the best by each chosen metric is selected.

The decision is published as ``result.json``, and :mod:`sightline.steps.promote` carries it out.  A decision that was
made against a champion who is not the champion any more is made anew.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sightline.config.digest import config_digest, step_key
from sightline.config.schema import Config
from sightline.data.checkout import Checkout
from sightline.data.detections import Detections
from sightline.data.lock import exclusive_lock
from sightline.data.tags import DatasetTag
from sightline.errors import StepError
from sightline.metrics.selection import Champion, check_metrics, choose, metrics_line
from sightline.report.evaluation_report import write_evaluation_report
from sightline.steps.champions import ChampionPointer, read_champion
from sightline.steps.drawings import draw_split, worst_and_spread
from sightline.steps.inference import class_names, fetch_model, infer_split, read_split, training_set_on_disk
from sightline.steps.journal import write_atomically
from sightline.steps.measurement import Measurement, measure
from sightline.steps.promotion import decision_holds, record_models
from sightline.steps.results import EvaluateResult, ScoredModel, Selection, TrainResult
from sightline.steps.selected_models import model_uri, publish_model
from sightline.steps.store import find_result, folder_key, publish_result
from sightline.storage import Storage, open_storage
from sightline.tasks.reading import open_reader

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Contender:
    """A model file that is measured, on the work volume; ``sha256`` and ``path`` of equal ones are equal."""

    name: str
    uri: str
    sha256: str
    training_tag: str
    path: Path


def run(config: Config, code_rev: str, train: TrainResult) -> EvaluateResult:
    """Measure the candidates and the champion, and select the best by each of ``evaluate.select_by``.

    Args:
        config: The whole configuration.
        code_rev: The code revision.
        train: The candidates.

    Raises:
        ConfigurationError: A metric that does not exist, or that nothing of this configuration computes.
        DataError: The val split cannot be used.
        ModelFileError: A candidate is damaged, or of other classes or another task than the training set.
        StepError: There are no candidates, or a model is gone.
    """
    check_metrics(config.evaluate.select_by, config.reading)
    if not train.candidates:
        raise StepError(f"training on {train.training_tag} left no candidate; run train again")
    storage = open_storage(config.storage.uri)
    dataset = DatasetTag.parse(train.training_tag).dataset
    key = step_key(
        "evaluate", config, train.training_commit, *(candidate.sha256 for candidate in train.candidates), code_rev
    )
    folder = Path(config.work.dir) / "evaluate" / key
    with exclusive_lock(folder.with_name(f"{key}.lock"), config.data.timeout_seconds):
        result = find_result(storage, EvaluateResult, train.training_tag, key)
        if result is None or not decision_holds(storage, dataset, result):
            with training_set_on_disk(config, train.training_tag, train.training_commit) as source:
                evaluation = _Evaluation(config, train, storage, folder, source)
                result = evaluation.publish(key, replace=result is not None)
    record_models(config, train, result)
    for selection in result.selections:
        _log.info("%s: %s", selection.metric, selection.reason)
    return result


class _Evaluation:
    """One comparison of candidates and champions on the val split."""

    def __init__(self, config: Config, train: TrainResult, storage: Storage, folder: Path, source: Checkout) -> None:
        self._began = time.monotonic()
        self._config, self._train, self._storage, self._folder = config, train, storage, folder
        self._tag = train.training_tag
        dataset = DatasetTag.parse(self._tag).dataset
        self._truth, self._root = read_split(source, "val"), source.path
        self._classes = class_names(self._truth)
        self._champions = {metric: read_champion(storage, dataset, metric)[0] for metric in config.evaluate.select_by}
        self._contenders = [
            _Contender(
                entry.name, entry.uri, entry.sha256, train.trained_on or self._tag, self._fetch(entry.uri, entry.sha256)
            )
            for entry in train.candidates
        ]
        self._obstacles: dict[str, str] = {}
        for rival in self._rivals():
            obstacle = _obstacle(rival, config.task, self._classes)
            if obstacle:
                self._obstacles[rival.sha256] = obstacle
            else:
                self._contenders.append(rival)
        self._found: dict[str, list[Detections]] = {}
        self._measured: dict[str, Measurement] = {}

    def publish(self, key: str, *, replace: bool) -> EvaluateResult:
        """Measure everything, decide, and publish the decision."""
        for contender in self._contenders:
            self._measure(contender)
        selections = [self._select(metric, champion) for metric, champion in self._champions.items()]
        files = self._folder / "files"
        summary = self._write_files(files, selections)
        self._publish_models(selections, summary)
        result = EvaluateResult(
            training_tag=self._tag,
            models=[
                ScoredModel(entry.name, entry.uri, entry.sha256, entry.training_tag, self._metrics(entry.sha256))
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

    def _rivals(self) -> list[_Contender]:
        """The distinct champions that are not candidates themselves."""
        pointers = {pointer.sha256: pointer for pointer in self._champions.values() if pointer is not None}
        rivals = []
        for sha256, pointer in pointers.items():
            metrics = [metric for metric, other in self._champions.items() if other and other.sha256 == sha256]
            name = "champion" if len(pointers) == 1 else f"champion ({', '.join(metrics)})"
            if sha256 not in {contender.sha256 for contender in self._contenders}:
                path = self._fetch(pointer.uri, sha256)
                rivals.append(_Contender(name, pointer.uri, sha256, pointer.training_tag, path))
        return rivals

    def _measure(self, contender: _Contender) -> None:
        from sightline.models.predictor import Predictor

        if contender.sha256 in self._measured:
            return
        config = self._config
        predictor = Predictor.load(contender.path, device=config.train.device, task=config.task, classes=self._classes)
        kept = self._folder / f"detections-{contender.sha256[:16]}.json"
        found = infer_split(predictor, self._truth, self._root, kept=kept, max_pixels=config.data.max_pixels)
        reader = open_reader(config.reading, self._classes)
        self._found[contender.sha256] = found
        self._measured[contender.sha256] = measure(self._truth, found, reader, config.evaluate.score_threshold)
        _log.info("evaluated %s: %s", contender.name, metrics_line(self._metrics(contender.sha256)))

    def _metrics(self, sha256: str) -> dict[str, float]:
        return self._measured[sha256].metrics

    def _select(self, metric: str, champion: ChampionPointer | None) -> Selection:
        candidates = {candidate.name: self._metrics(candidate.sha256) for candidate in self._train.candidates}
        rival = None
        if champion is not None:
            own = self._metrics(champion.sha256).get(metric) if champion.sha256 in self._measured else None
            rival = Champion(champion.training_tag, own, self._obstacles.get(champion.sha256, ""))
        choice = choose(metric, candidates, rival, self._config.evaluate.min_improvement)
        best = next(entry.sha256 for entry in self._contenders if entry.name == choice.candidate)
        selected = best if champion is None or choice.promoted else champion.sha256
        winner = next(entry for entry in self._contenders if entry.sha256 == selected)
        return Selection(
            metric=metric,
            uri=model_uri(self._storage, self._tag, metric, winner.sha256),
            sha256=winner.sha256,
            name=winner.name,
            value=self._metrics(winner.sha256)[metric],
            previous_sha256="" if champion is None else champion.sha256,
            previous_value=None if rival is None else rival.value,
            promoted=choice.promoted,
            reason=choice.reason,
        )

    def _write_files(self, files: Path, selections: Sequence[Selection]) -> dict[str, Any]:
        """Draw, and write ``summary.json`` and the report; returns what the summary says."""
        if files.exists():
            shutil.rmtree(files)
        threshold = self._config.evaluate.score_threshold
        shown: dict[str, dict[int, Detections]] = {}
        for entry in self._contenders:
            if entry.sha256 not in {other.sha256 for other in self._contenders if other.name in shown}:
                shown[entry.name] = {found.image_id: found.above(threshold) for found in self._found[entry.sha256]}
        mistakes = {entry.name: self._measured[entry.sha256].confusion.mistakes for entry in self._contenders}
        together = {
            image["id"]: sum(mistakes[name][image["id"]].total for name in shown) for image in self._truth["images"]
        }
        images = worst_and_spread(self._truth["images"], self._config.evaluate.drawn_images, together)
        summary = {
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
                    **self._measured[entry.sha256].document(self._truth),
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
                mistakes=mistakes,
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


def _obstacle(rival: _Contender, task: str, classes: Sequence[str]) -> str:
    """Why a champion cannot be measured on this split; empty where it can.

    A dataset may gain a class from one version to the next: its champion so far is not wrong, but has no answer to it.
    """
    from sightline.models.model_file import read_card

    card = read_card(rival.path)
    who = f"the champion of {rival.training_tag} was made for"
    if card.task != task:
        return f"{who} the task {card.task}, this is {task}"
    if list(card.classes) != list(classes):
        return f"{who} the classes {', '.join(card.classes)}, these are {', '.join(classes)}"
    return ""
