"""Selects the best candidate by each metric, and decides by the gate whether it replaces the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sightline.config.schema import Config
from sightline.config.task_declarations import is_higher_better
from sightline.errors import ConfigurationError
from sightline.evaluation.bootstrap import Resamples
from sightline.evaluation.contenders import Contenders
from sightline.evaluation.gate import Contest, pass_gate
from sightline.evaluation.inference import related_images
from sightline.evaluation.rivals import Rival
from sightline.evaluation.shared_classes import SharedClasses
from sightline.metrics.selection import Champion, Choice, best_candidate, choose
from sightline.metrics.statistic import Bools
from sightline.names import unknown_name
from sightline.registry.champions import ChampionState
from sightline.registry.gate_report import GateReport
from sightline.registry.results import Candidate, ChampionKind, Selection, TrainResult
from sightline.registry.selected_models import model_uri
from sightline.storage import Storage
from sightline.tasks.evaluators import Measurement


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of the champion by one metric.

    Attributes:
        kind: How it was found.
        champion: The champion with its value; None if there is none.
        measured: Its measurement; None if it was not measured.
        against: The measurement of the best candidate on the same classes.
        shared: The classes that both know, if these are not all.
    """

    kind: ChampionKind
    champion: Champion | None = None
    measured: Measurement | None = None
    against: Measurement | None = None
    shared: SharedClasses | None = None


@dataclass
class Decision:
    """Makes the selections of one evaluation.

    Attributes:
        config: The complete configuration.
        storage: The result bucket.
        train: The candidates.
        contenders: The measured models.
        rivals: The champions by SHA-256, measured or with the reason why not.
        slices: Name of a slice -> its images, for the gate.
    """

    config: Config
    storage: Storage
    train: TrainResult
    contenders: Contenders
    rivals: Mapping[str, Rival]
    slices: Mapping[str, Bools] = field(default_factory=dict)
    resamples: Resamples = field(init=False)

    def __post_init__(self) -> None:
        margin = self.config.evaluate.gate.slice_margin
        for name in margin if isinstance(margin, dict) else ():
            if name not in self.slices:
                text = unknown_name("slice of the val split", name, tuple(self.slices))
                raise ConfigurationError(f"evaluate.gate.slice_margin: {text}")
        related = related_images(self.contenders.truth)
        self.resamples = Resamples(related, self.config.evaluate.gate.resamples, self.config.seed)

    def select(self, metric: str, state: ChampionState) -> Selection:
        """The best candidate by one metric, and whether it replaces the champion."""
        best, best_value = self._best(metric)
        found = self._champion(metric, state, best)
        settings, fold = self.config.evaluate, self.config.data.fold
        gate = None if fold or state.sha256 == best.sha256 else self._gate(metric, best, found)
        choice = choose(
            metric,
            best.name,
            best_value,
            found.champion,
            settings.min_improvement,
            minimum=settings.minimum_of(metric),
            replace_unmeasurable=settings.replace_unreadable,
            gate=gate,
            higher_is_better=is_higher_better(metric),
        )
        if fold:
            choice = Choice(False, _reason_of_fold(fold, self.config.data.folds, best.name, best_value))
        stays = found.kind == "measured" and not choice.promoted
        winner = self.contenders.of(state.sha256 if stays else best.sha256)
        value, champion, part = best_value, found.champion, found.shared
        if champion is not None and champion.value is not None and (stays or part is not None):
            value = champion.value if stays else champion.rival_value or 0.0
        return Selection(
            metric=metric,
            uri=model_uri(self.storage, self.train.training_tag, metric, winner.sha256),
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
            candidate_value=best_value,
            champion=found.kind,
            champion_tag="" if state.pointer is None else state.pointer.training_tag,
            obstacle="" if champion is None else champion.obstacle,
            compared_classes=[] if part is None else list(part.names),
            added_classes=[] if part is None else list(part.added),
            removed_classes=[] if part is None else list(part.removed),
            gate=gate,
        )

    def _best(self, metric: str) -> tuple[Candidate, float]:
        """The best candidate by one metric, with its value on the whole split."""
        measured = {one.name: self.contenders.of(one.sha256).measured for one in self.train.candidates}
        name = best_candidate(
            metric,
            {name: one.metrics for name, one in measured.items()},
            higher_is_better=is_higher_better(metric),
            obstacles={name: one.obstacles[metric] for name, one in measured.items() if metric in one.obstacles},
        )
        best = next(one for one in self.train.candidates if one.name == name)
        return best, measured[name].metrics[metric]

    def _gate(self, metric: str, best: Candidate, found: _Found) -> GateReport:
        one = self.contenders.of(best.sha256)
        contest = Contest(
            metric=metric,
            candidate=best.name,
            whole=one.measured,
            profile=one.profile,
            measured=one.measured if found.against is None else found.against,
            champion=found.measured,
            candidates=len({candidate.sha256 for candidate in self.train.candidates}),
            slices=self.slices,
            higher_is_better=is_higher_better(metric),
            leak="" if one.leaks is None else one.leaks.val_leak,
        )
        settings = self.config.evaluate
        return pass_gate(
            settings.gate, settings.min_improvement, contest, self.resamples, len(self.contenders.truth["images"])
        )

    def _champion(self, metric: str, state: ChampionState, best: Candidate) -> _Found:
        """The champion to compare with the best candidate by one metric."""
        if state.pointer is None:
            return _Found("unreadable", Champion("", None, state.fault)) if state.fault else _Found("none")
        tag, own = state.pointer.training_tag, {entry.sha256: entry.name for entry in self.train.candidates}
        if state.sha256 in own:
            same = best.name if state.sha256 == best.sha256 else own[state.sha256]
            measured = self.contenders.of(state.sha256).measured
            return _Found("measured", Champion(tag, measured.metrics.get(metric), "", same), measured)
        rival = self.rivals[state.sha256]
        if rival.obstacle or rival.shared is None:
            return _Found(rival.kind, Champion(tag, None, rival.obstacle))
        measured = self.contenders.of(state.sha256).measured
        value = measured.metrics.get(metric)
        if rival.shared.complete and value is not None:
            return _Found("measured", Champion(tag, value), measured)
        against = self.contenders.measured_on(best.sha256, rival.shared)
        if value is None or metric not in against.metrics:
            lacking = f"has no {metric} on the classes that both know"
            obstacle = f"the champion of {tag} {lacking} ({rival.shared.difference})"
            return _Found("incomparable", Champion(tag, None, obstacle))
        champion = Champion(tag, value, rival_value=against.metrics[metric], difference=rival.shared.difference)
        return _Found("measured", champion, measured, against, None if rival.shared.complete else rival.shared)


def _reason_of_fold(fold: int, folds: int, candidate: str, value: float) -> str:
    return (
        f"{candidate} of fold {fold} of {folds}: {value:.4g}; a run with data.fold measures a method and "
        "changes no champion"
    )
