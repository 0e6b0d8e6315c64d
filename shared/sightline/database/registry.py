"""The interface of the database for steps and commands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar, get_args

from sqlalchemy import Connection, Engine

from sightline.database.engine.address import shown
from sightline.database.engine.connection import connect, read
from sightline.database.lineage_records import Lineage, Named, NameKind
from sightline.database.queries import (
    decisions,
    dependents,
    lineage,
    names,
    promotions,
    references,
    run_models,
    runs,
    scores,
    versions,
)
from sightline.database.queries.dependents import Dependent
from sightline.database.queries.references import References
from sightline.database.records import (
    CategoryCount,
    DecisionRecord,
    ImageRecord,
    ModelRecord,
    ModelUse,
    PromotionRecord,
    PromotionRow,
    RunChoice,
    RunRecord,
    RunRow,
    RunState,
    VersionRecord,
    VersionRow,
)
from sightline.database.schema.upgrade import require_current, upgrade

Result = TypeVar("Result")


def open_database(url: str, *, create: bool = True) -> Database:
    """Open the database and check that its schema is the expected one.

    A SQLite file is created and upgraded automatically; a server's database is upgraded by ``sightline db upgrade``.

    Args:
        url: See :func:`sightline.database.engine.connection.connect`.
        create: Whether a SQLite file that does not exist may be created.

    Raises:
        DatabaseError: It cannot be reached, or has another schema.
    """
    engine = connect(url, create=create)
    if engine.dialect.name == "sqlite":
        upgrade(engine)
    require_current(engine)
    return Database(engine)


class Database:
    """Versions, runs and models in the database.  Every method is one transaction, which may be retried.

    Every method raises :class:`~sightline.errors.DatabaseError` if the database cannot be used, and for values that it
    cannot store exactly.

    Args:
        engine: A connection with a checked schema; see :func:`open_database`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __str__(self) -> str:
        return shown(self._engine.url)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def register_version(
        self, version: VersionRecord, images: Iterable[ImageRecord], categories: Iterable[CategoryCount]
    ) -> bool:
        """Register a dataset version atomically.

        Args:
            version: The version.
            images: Its images, each path once.
            categories: Its counts, each category and split once.

        True if it was registered now, False if the same version with the same digest was registered before.
            True when it was recorded now, False when the same version with the same digest was there already.

        Raises:
            VersionConflictError: The version, or its tag, exists with another digest.
        """
        return versions.register(self._engine, version, images, categories)

    def retire_version(self, tag: str, commit: str) -> bool:
        """Mark a version as removed, so that its names can be used for its replacement.

        Args:
            tag: The dataset tag.
            commit: Its commit; a version with another commit is not changed.

        Returns:
            Whether it existed.
        """
        return versions.retire(self._engine, tag, commit)

    def dependents(self, annotation_tag: str, training_tag: str) -> list[Dependent]:
        """Objects made from a version, or being made: models, champions, measurements, running runs."""
        return self._read(
            f"find what was made from {training_tag}",
            lambda connection: dependents.find(connection, annotation_tag, training_tag),
        )

    def versions(self, dataset: str | None = None) -> list[VersionRow]:
        """All versions, or those of one dataset, in order of registration."""
        return self._read("list the versions", lambda connection: versions.find(connection, dataset=dataset))

    def version(self, tag: str) -> VersionRow | None:
        """The version with a tag, or None."""
        found = self._read(f"find version {tag}", lambda connection: versions.find(connection, tag=tag))
        return found[0] if found else None

    def category_counts(self, tag: str) -> list[CategoryCount]:
        """The number of instances of each category in each split of a version; empty if the tag is not registered."""
        return self._read(f"count categories of {tag}", lambda connection: versions.categories(connection, tag))

    def images(self, tag: str) -> Iterator[ImageRecord]:
        """The images of a version, sorted by the SHA-256 of their paths, read in pages."""
        page = self._read(f"list images of {tag}", functools.partial(versions.images, tag=tag, after=""))
        while page:
            yield from (image for _, image in page)
            after = page[-1][0]
            page = self._read(f"list images of {tag}", functools.partial(versions.images, tag=tag, after=after))

    def start_run(self, run: RunRecord) -> None:
        """Record that a run started, or continues.

        Raises:
            DatabaseError: Also if the run is registered with another configuration.
        """
        runs.start(self._engine, run)

    def finish_run(self, run_id: str, state: RunState, message: str = "") -> None:
        """Record how a run ended.

        Args:
            run_id: A run that was started.
            state: Any but ``running``.
            message: Why it failed, or who stopped it; truncated to 4,000 characters.

        Raises:
            DatabaseError: Also if the run is not registered.
        """
        runs.finish(self._engine, run_id, state, message)

    def correct_run(self, run_id: str, before: RunState, state: RunState, message: str = "") -> bool:
        """Change the state of a registered run if it has not changed in the meantime.

        Args:
            run_id: The run.
            before: Its expected current state.
            state: Its new state.
            message: As for :meth:`finish_run`.

        Returns:
            Whether it was changed.
        """
        return runs.correct(self._engine, run_id, before, state, message)

    def find_runs(self, run_ids: Iterable[str]) -> dict[str, RunRow]:
        """The registered runs among some ids, by id."""
        found = self._read("find runs", lambda connection: lineage.runs_by_id(connection, run_ids))
        return {row.record.run_id: row for row in found}

    def runs(self, limit: int = 20) -> list[RunRow]:
        """The latest runs, newest first."""
        return self._read("list the runs", lambda connection: runs.latest(connection, limit))

    def register_model(self, model: ModelRecord) -> None:
        """Register a model file; for a known SHA-256, only empty fields of its record are filled in."""
        scores.register_model(self._engine, model)

    def model(self, sha256: str) -> ModelRecord | None:
        """The model file with this SHA-256, or None."""
        return self._read(f"find model {sha256}", lambda connection: scores.find_model(connection, sha256))

    def record_metrics(self, model_sha256: str, dataset_tag: str, split: str, values: Mapping[str, float]) -> None:
        """Record metrics of a model; existing values are replaced.

        Args:
            model_sha256: A registered model.
            dataset_tag: The training tag that it was measured on.
            split: ``val`` or ``test``.
            values: Metric name -> finite value.

        Raises:
            DatabaseError: Also if the model is not registered.
        """
        scores.record_metrics(self._engine, model_sha256, dataset_tag, split, values)

    def metrics(self, model_sha256: str, dataset_tag: str, split: str) -> dict[str, float]:
        """The metrics of a model on one split, by name."""
        return self._read(
            f"read metrics of model {model_sha256}",
            lambda connection: scores.metrics(connection, model_sha256, dataset_tag, split),
        )

    def record_promotion(self, promotion: PromotionRecord, promoted_at: datetime | None = None) -> None:
        """Record a new champion; nothing changes if its number exists already.

        Args:
            promotion: The promotion.  Without a number, the next one is used; nothing changes if the model already is
                the champion.
            promoted_at: When it was promoted; None: now.

        Raises:
            DatabaseError: Also if one of the models is not registered.
        """
        promotions.record(self._engine, promotion, promoted_at or datetime.now(UTC))

    def promotions(self, dataset: str, metric: str, task: str = "instance_segmentation") -> list[PromotionRow]:
        """All promotions by one metric, in the order of their numbers."""
        return self._read(
            f"list the promotions of {dataset} by {metric}",
            lambda connection: promotions.history(connection, dataset, metric, task),
        )

    def champion(self, dataset: str, metric: str, task: str = "instance_segmentation") -> PromotionRow | None:
        """The current champion by one metric, with its promotion; None if there was no promotion yet."""
        return self._read(
            f"find the champion of {dataset} by {metric}",
            lambda connection: promotions.latest(connection, dataset, metric, task),
        )

    def record_decisions(self, run_id: str, found: Iterable[DecisionRecord]) -> None:
        """Record what a run decided; earlier decisions of the run by the same metrics are replaced.

        Raises:
            DatabaseError: Also if a text is too long.
        """
        decisions.record(self._engine, run_id, found)

    def decisions(self, run_id: str) -> list[DecisionRecord]:
        """What a run decided, by metric; empty for runs of earlier releases."""
        return self._read(
            f"read the decisions of run {run_id}", lambda connection: decisions.of_run(connection, run_id)
        )

    def references(self) -> References:
        """Every file, run and version that the database refers to."""
        return self._read("list what is needed", references.find)

    def record_uses(self, run_id: str, uses: Iterable[ModelUse]) -> None:
        """Record the roles of models in a run, regardless of who created them.

        Raises:
            DatabaseError: Also if one of the models is not registered.
        """
        run_models.record(self._engine, run_id, uses)

    def named(self, name: str, kinds: Iterable[NameKind] = get_args(NameKind)) -> Named:
        """Resolve a name: a tag; a run's id, or its beginning; a model's SHA-256, six digits of it, or its URI.

        Raises:
            UnknownNameError: No object or several objects of these kinds match.
        """
        return self._read(f"find {name}", lambda connection: names.resolve(connection, name, str(self), kinds))

    def lineage(self, asked: Named) -> Lineage:
        """All objects from which an object was made, and all that were made from it."""
        return self._read(f"trace {asked}", lambda connection: lineage.trace(connection, asked))

    def selections(self, run_rows: Iterable[RunRow]) -> dict[str, dict[str, RunChoice]]:
        """The outcome of each run by metric: its own best candidate, and the champion that stayed."""
        return self._read("read what runs selected", lambda connection: lineage.selections(connection, list(run_rows)))

    def _read(self, what: str, work: Callable[[Connection], Result]) -> Result:
        return read(self._engine, what, work)
