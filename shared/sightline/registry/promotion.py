"""Carrying out a decision of evaluate: rows of its models, champion pointers, and rows of promotions.

A pointer in the bucket decides who is champion; the database follows it.  A row takes everything from its pointer, so
that any later run can write the row of one that was killed.
"""

from __future__ import annotations

from contextlib import closing

from sightline.config.schema import Config
from sightline.data.tags import DatasetTag
from sightline.database import Database, ModelRecord, ModelUse, PromotionRecord, open_database
from sightline.errors import DatabaseError, PreconditionFailedError
from sightline.pod import current_run_id
from sightline.registry.champions import ChampionPointer, ChampionState, look_up_champion, write_champion
from sightline.registry.results import EvaluateResult, Selection, TrainResult
from sightline.storage import Storage

MAX_ATTEMPTS = 8


def decision_holds(storage: Storage, dataset: str, task: str, result: EvaluateResult) -> bool:
    """Whether the champions are those that were promoted, or those that the decision was made against."""
    return all(
        _holds(look_up_champion(storage, dataset, selection.metric, task), selection) for selection in result.selections
    )


def _holds(state: ChampionState, selection: Selection) -> bool:
    if state.sha256 and state.sha256 == selection.sha256:
        return selection.promoted or state.sha256 == selection.previous_sha256
    return _is_expected(state, selection)


def _is_expected(state: ChampionState, selection: Selection) -> bool:
    """Whether the champion is the one that the decision was made against."""
    uncompared = selection.promoted and selection.previous_sha256 and selection.previous_value is None
    if selection.champion == "" and uncompared:  # of an earlier release, which promoted without a comparison
        return False
    unreadable_pointer = selection.champion == "unreadable" and not selection.previous_sha256
    return bool(state.fault) == unreadable_pointer and state.sha256 == selection.previous_sha256


def is_carried_out(config: Config, dataset: str, storage: Storage, result: EvaluateResult) -> bool:
    """Whether promote has nothing to do: the new champions are champions, in the bucket and in the database."""
    promoted = [selection for selection in result.selections if selection.promoted]
    for selection in promoted:
        if look_up_champion(storage, dataset, selection.metric, config.task).sha256 != selection.sha256:
            return False
    with closing(open_database(config.database.url)) as database:
        champions = [(one, database.champion(dataset, one.metric, config.task)) for one in promoted]
    return all(row is not None and row.record.model_sha256 == selection.sha256 for selection, row in champions)


def record_models(config: Config, train: TrainResult, storage: Storage, result: EvaluateResult) -> None:
    """Record the measured and selected models and the champions in the database; existing rows are kept.

    Metrics on a part of the classes are left out: they do not compare with those of other models.
    """
    run_id, dataset = current_run_id(), DatasetTag.parse(train.training_tag).dataset
    with closing(open_database(config.database.url)) as database:
        for model in result.models:
            database.register_model(ModelRecord(model.sha256, model.uri, config.task, model.training_tag, None, ""))
            if not model.classes:
                database.record_metrics(model.sha256, train.training_tag, "val", model.metrics)
        if run_id:
            database.record_uses(run_id, _uses(result))
        for selection in result.selections:
            follow_pointer(database, storage, dataset, selection.metric, config.task)


def promote(config: Config, dataset: str, storage: Storage, result: EvaluateResult) -> None:
    """Carry out a decision: first pointers in the bucket, then rows; finished parts are skipped.

    Args:
        config: The whole configuration.
        dataset: Whose champions they are.
        storage: The result bucket.
        result: The decision, whose models the database knows.

    Raises:
        PreconditionFailedError: A champion is not the one that the decision was made against any more.
    """
    with closing(open_database(config.database.url)) as database:
        for selection in result.selections:
            pointer = _swap(database, storage, dataset, config.task, result=result, selection=selection)
            if pointer is not None:
                _record(database, dataset, pointer, pointer.sequence, pointer.previous_sha256)
            follow_pointer(database, storage, dataset, selection.metric, config.task)


def follow_pointer(database: Database, storage: Storage, dataset: str, metric: str, task: str) -> None:
    """Make the latest promotion in the database match the pointer, whether a run or a person moved it.

    Sequence numbers of pointers only grow.  One that is not above the database's latest, with another model, was put
    back by hand; it becomes a promotion of its own.

    Raises:
        DatabaseError: Other runs move the champion all the time.
    """
    for _ in range(MAX_ATTEMPTS):
        row = database.champion(dataset, metric, task)
        pointer = look_up_champion(storage, dataset, metric, task).pointer
        latest = 0 if row is None else row.record.sequence
        if pointer is None:
            return
        if row is not None and row.record.model_sha256 == pointer.sha256 and pointer.sequence <= latest:
            return
        by_hand = pointer.sequence <= latest
        previous = row.record.model_sha256 if row is not None and by_hand else pointer.previous_sha256
        _record(database, dataset, pointer, max(pointer.sequence, latest + 1), previous)
    raise DatabaseError(
        f"the champion of {dataset} by {metric} changed {MAX_ATTEMPTS} times while it was recorded in {database}; "
        "run evaluate again when the other runs are done"
    )


def _record(database: Database, dataset: str, pointer: ChampionPointer, sequence: int, previous: str) -> None:
    """Write a pointer as a promotion with this number, unless the number is taken."""
    database.register_model(ModelRecord(pointer.sha256, pointer.uri, pointer.task, pointer.training_tag, None, ""))
    as_promoted = previous == pointer.previous_sha256
    if previous:
        database.register_model(
            ModelRecord(previous, pointer.previous_uri if as_promoted else "", pointer.task, "", None, "")
        )
    database.record_promotion(
        PromotionRecord(
            dataset=dataset,
            metric=pointer.metric,
            model_sha256=pointer.sha256,
            previous_sha256=previous or None,
            value=pointer.value,
            previous_value=pointer.previous_value if as_promoted else None,
            run_id=pointer.run_id if sequence == pointer.sequence else "",
            task=pointer.task,
            sequence=sequence,
        )
    )


def _uses(result: EvaluateResult) -> list[ModelUse]:
    """Who was measured, who was the best of the run, and who was selected."""
    uses = [ModelUse(model.sha256, model.name.partition(" ")[0]) for model in result.models]
    for selection in result.selections:
        uses.append(ModelUse(selection.sha256, "selected", selection.metric))
        if selection.candidate_sha256:
            uses.append(ModelUse(selection.candidate_sha256, "proposed", selection.metric))
    return uses


def _swap(
    database: Database, storage: Storage, dataset: str, task: str, *, result: EvaluateResult, selection: Selection
) -> ChampionPointer | None:
    """Make the best candidate the champion where it was promoted, unless it is; the pointer that was written."""
    present = look_up_champion(storage, dataset, selection.metric, task)
    if present.sha256 == selection.sha256 and selection.promoted:
        return None
    if not _is_expected(present, selection):
        raise PreconditionFailedError(f"{dataset} has another champion by {selection.metric} than expected")
    if not selection.promoted:
        return None
    row = database.champion(dataset, selection.metric, task)
    winner = next(model for model in result.models if model.sha256 == selection.sha256)
    before = present.pointer
    pointer = ChampionPointer(
        metric=selection.metric,
        sha256=selection.sha256,
        uri=selection.uri,
        training_tag=winner.training_tag,
        value=selection.value if selection.candidate_value is None else selection.candidate_value,
        previous_sha256=selection.previous_sha256,
        previous_uri="" if before is None else before.uri,
        task=task,
        sequence=1 + max(0 if before is None else before.sequence, 0 if row is None else row.record.sequence),
        run_id=current_run_id(),
        previous_value=None if selection.compared_classes else selection.previous_value,
    )
    write_champion(storage, dataset, pointer, present.generation)
    return pointer
