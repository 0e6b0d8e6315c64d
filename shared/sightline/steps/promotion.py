"""What follows from a decision of evaluate: rows of its models, and champion pointers with rows of their own."""

from __future__ import annotations

from contextlib import closing

from sightline.config.schema import Config
from sightline.database import ModelRecord, ModelUse, PromotionRecord, open_database
from sightline.errors import PreconditionFailedError
from sightline.steps.champions import ChampionPointer, read_champion, write_champion
from sightline.steps.journal import current_run_id
from sightline.steps.results import EvaluateResult, Selection, TrainResult
from sightline.storage import Storage


def decision_holds(storage: Storage, dataset: str, result: EvaluateResult) -> bool:
    """Whether the champions are those that were selected, or those that the decision was made against."""
    for selection in result.selections:
        pointer, _ = read_champion(storage, dataset, selection.metric)
        if ("" if pointer is None else pointer.sha256) not in {selection.sha256, selection.previous_sha256}:
            return False
    return True


def is_carried_out(config: Config, dataset: str, storage: Storage, result: EvaluateResult) -> bool:
    """Whether promote has nothing to do: the new champions are champions, in the bucket and in the database."""
    promoted = [selection for selection in result.selections if selection.promoted]
    for selection in promoted:
        pointer, _ = read_champion(storage, dataset, selection.metric)
        if pointer is None or pointer.sha256 != selection.sha256:
            return False
    with closing(open_database(config.database.url)) as database:
        champions = [(selection, database.champion(dataset, selection.metric)) for selection in promoted]
    return all(row is not None and row.record.model_sha256 == selection.sha256 for selection, row in champions)


def record_models(config: Config, train: TrainResult, result: EvaluateResult) -> None:
    """Tell the database what was measured and selected; what it knows already stays as it is."""
    run_id = current_run_id()
    with closing(open_database(config.database.url)) as database:
        for model in result.models:
            database.register_model(ModelRecord(model.sha256, model.uri, config.task, model.training_tag, None, ""))
            database.record_metrics(model.sha256, train.training_tag, "val", model.metrics)
        if run_id:
            database.record_uses(run_id, _uses(result))


def promote(config: Config, dataset: str, storage: Storage, result: EvaluateResult) -> None:
    """Carry a decision out: pointers in the bucket, then rows; what is done already stays as it is.

    Args:
        config: The whole configuration.
        dataset: Whose champions they are.
        storage: The result bucket.
        result: The decision, whose models the database knows.

    Raises:
        PreconditionFailedError: A champion is not the one that the decision was made against any more.
    """
    run_id = current_run_id()
    with closing(open_database(config.database.url)) as database:
        for selection in result.selections:
            pointer = _swap(storage, dataset, result, selection)
            if not selection.promoted:
                continue
            if selection.previous_sha256:
                previous = ModelRecord(selection.previous_sha256, pointer.previous_uri, config.task, "", None, "")
                database.register_model(previous)
            database.record_promotion(
                PromotionRecord(
                    dataset=dataset,
                    metric=selection.metric,
                    model_sha256=selection.sha256,
                    previous_sha256=selection.previous_sha256 or None,
                    value=selection.value,
                    previous_value=selection.previous_value,
                    run_id=run_id,
                )
            )


def _uses(result: EvaluateResult) -> list[ModelUse]:
    """Who was measured, and who was selected."""
    measured = [ModelUse(model.sha256, model.name.partition(" ")[0]) for model in result.models]
    return measured + [ModelUse(selection.sha256, "selected", selection.metric) for selection in result.selections]


def _swap(storage: Storage, dataset: str, result: EvaluateResult, selection: Selection) -> ChampionPointer:
    """Make the selected model the champion, unless it is."""
    present, generation = read_champion(storage, dataset, selection.metric)
    if present is not None and present.sha256 == selection.sha256:
        return present
    if ("" if present is None else present.sha256) != selection.previous_sha256:
        raise PreconditionFailedError(f"{dataset} has another champion by {selection.metric} than expected")
    winner = next(model for model in result.models if model.sha256 == selection.sha256)
    pointer = ChampionPointer(
        metric=selection.metric,
        sha256=selection.sha256,
        uri=selection.uri,
        training_tag=winner.training_tag,
        value=selection.value,
        previous_sha256=selection.previous_sha256,
        previous_uri="" if present is None else present.uri,
    )
    write_champion(storage, dataset, pointer, generation)
    return pointer
