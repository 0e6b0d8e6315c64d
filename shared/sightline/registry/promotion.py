"""Applies a decision of evaluate: rows of its models, champion pointers, and rows of promotions.

The pointers in the bucket are authoritative; see :mod:`sightline.registry.champion_changes` for the transaction.
"""

from __future__ import annotations

from contextlib import closing

from sightline.config.schema import Config
from sightline.data.tags import DatasetTag
from sightline.database import Database, DecisionRecord, ModelRecord, ModelUse, open_database
from sightline.errors import PreconditionFailedError
from sightline.pod import current_run_id
from sightline.registry.actor import person
from sightline.registry.champion_changes import change, settle
from sightline.registry.champions import (
    GATE,
    MAX_REASON,
    ChampionName,
    ChampionPointer,
    ChampionState,
    look_up_champion,
)
from sightline.registry.results import EvaluateResult, Selection, TrainResult
from sightline.storage import Storage


def decision_holds(storage: Storage, dataset: str, task: str, result: EvaluateResult) -> bool:
    """Whether the current champions are the promoted ones, or the ones that the decision was compared with."""
    return all(
        _holds(look_up_champion(storage, dataset, selection.metric, task), selection) for selection in result.selections
    )


def _holds(state: ChampionState, selection: Selection) -> bool:
    if state.sha256 and state.sha256 == selection.sha256:
        return selection.promoted or state.sha256 == selection.previous_sha256
    return _is_expected(state, selection)


def _is_expected(state: ChampionState, selection: Selection) -> bool:
    """Whether the champion is the one that the decision was compared with."""
    uncompared = selection.promoted and selection.previous_sha256 and selection.previous_value is None
    if selection.champion == "" and uncompared:  # result of an earlier release, which promoted without a comparison
        return False
    unreadable_pointer = selection.champion == "unreadable" and not selection.previous_sha256
    return bool(state.fault) == unreadable_pointer and state.sha256 == selection.previous_sha256


def is_carried_out(config: Config, dataset: str, storage: Storage, result: EvaluateResult) -> bool:
    """Whether promote has nothing to do: bucket and database contain the new champions already."""
    promoted = [selection for selection in result.selections if selection.promoted]
    for selection in promoted:
        if look_up_champion(storage, dataset, selection.metric, config.task).sha256 != selection.sha256:
            return False
    with closing(open_database(config.database.url)) as database:
        champions = [(one, database.champion(dataset, one.metric, config.task)) for one in promoted]
    return all(row is not None and row.record.model_sha256 == selection.sha256 for selection, row in champions)


def record_models(config: Config, train: TrainResult, storage: Storage, result: EvaluateResult) -> None:
    """Record the measured and selected models, the decisions and the champions in the database.

    Metrics on a subset of the classes are left out: they are not comparable with those of other models.
    """
    run_id, dataset = current_run_id(), DatasetTag.parse(train.training_tag).dataset
    with closing(open_database(config.database.url)) as database:
        for model in result.models:
            database.register_model(ModelRecord(model.sha256, model.uri, config.task, model.training_tag, None, ""))
            if not model.classes:
                database.record_metrics(model.sha256, train.training_tag, "val", model.metrics)
        if run_id:
            database.record_uses(run_id, _uses(result))
            database.record_decisions(run_id, [_decision(one, result.files) for one in result.selections])
        for selection in result.selections:
            follow_pointer(database, storage, dataset, selection.metric, config.task)


def promote(config: Config, dataset: str, storage: Storage, result: EvaluateResult) -> None:
    """Apply a decision: first the pointers in the bucket, then the rows; completed parts are skipped.

    Args:
        config: The complete configuration.
        dataset: The dataset of the champions.
        storage: The result bucket.
        result: The decision; its models are registered in the database.

    Raises:
        PreconditionFailedError: A champion is no longer the one that the decision was compared with.
    """
    with closing(open_database(config.database.url)) as database:
        for selection in result.selections:
            _swap(database, storage, dataset, config.task, result=result, selection=selection)
            follow_pointer(database, storage, dataset, selection.metric, config.task)


def follow_pointer(database: Database, storage: Storage, dataset: str, metric: str, task: str) -> None:
    """Bring the history of a champion, in bucket and database, up to its pointer, whoever changed it.

    Raises:
        StepError: Other runs keep changing the champion.
    """
    settle(storage, database, ChampionName(dataset, metric, task))


def _uses(result: EvaluateResult) -> list[ModelUse]:
    """The measured models, the best model of the run, and the selected model."""
    uses = [ModelUse(model.sha256, model.name.partition(" ")[0]) for model in result.models]
    for selection in result.selections:
        uses.append(ModelUse(selection.sha256, "selected", selection.metric))
        if selection.candidate_sha256:
            uses.append(ModelUse(selection.candidate_sha256, "proposed", selection.metric))
    return uses


def _decision(selection: Selection, evidence: str) -> DecisionRecord:
    gate, candidate = selection.gate, selection.candidate_sha256 or selection.sha256
    unchanged = candidate == selection.previous_sha256
    return DecisionRecord(
        metric=selection.metric,
        outcome="promoted" if selection.promoted else "unchanged" if unchanged else "refused",
        candidate_sha256=candidate,
        champion_sha256=selection.previous_sha256,
        value=selection.value if selection.candidate_value is None else selection.candidate_value,
        champion_value=selection.previous_value,
        difference=None if gate is None else gate.difference,
        low=None if gate is None else gate.low,
        high=None if gate is None else gate.high,
        probability=None if gate is None else gate.probability,
        required=None if gate is None or gate.probability is None else gate.required,
        reason=selection.reason[:MAX_REASON],
        evidence=evidence,
    )


def _swap(
    database: Database, storage: Storage, dataset: str, task: str, *, result: EvaluateResult, selection: Selection
) -> None:
    """Promote the best candidate if so decided, unless it is the champion."""
    name = ChampionName(dataset, selection.metric, task)
    settled = settle(storage, database, name)
    present = settled.state
    if present.sha256 == selection.sha256 and selection.promoted:
        return
    if not _is_expected(present, selection):
        raise PreconditionFailedError(f"{dataset} has another champion by {selection.metric} than expected")
    if not selection.promoted:
        return
    winner = next(model for model in result.models if model.sha256 == selection.sha256)
    run_id, before = current_run_id(), present.pointer
    pointer = ChampionPointer(
        metric=selection.metric,
        sha256=selection.sha256,
        uri=selection.uri,
        training_tag=winner.training_tag,
        value=selection.value if selection.candidate_value is None else selection.candidate_value,
        previous_sha256=selection.previous_sha256,
        previous_uri="" if before is None else before.uri,
        task=task,
        run_id=run_id,
        previous_value=None if selection.compared_classes else selection.previous_value,
        action=GATE,
        actor=run_id or person(),
        reason=selection.reason[:MAX_REASON],
        evidence=result.files,
    )
    change(storage, database, name, pointer, settled)
