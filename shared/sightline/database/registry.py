"""The interface of the database for steps and commands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, get_args

from sqlalchemy import Connection, Engine

from sightline.database.engine.address import shown
from sightline.database.engine.connection import connect, read
from sightline.database.lineage_records import Lineage, Named, NameKind
from sightline.database.queries import (
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
    """Open the database and make sure that its schema is the one that this code expects.

    A SQLite file is created and upgraded without asking; a server's database is upgraded by ``sightline db upgrade``.

    Args:
        url: See :func:`sightline.database.engine.connection.connect`.
        create: Whether a SQLite file that does not exist may be created.

    Raises:
        DatabaseError: It cannot be reached, or its schema is another.
    """
    engine = connect(url, create=create)
    if engine.dialect.name == "sqlite":
        upgrade(engine)
    require_current(engine)
    return Database(engine)


class Database:
    """Versions, runs and models in the database.  Every method is one transaction, which may be repeated.

    Every method raises :class:`~sightline.errors.DatabaseError` when the database cannot be used, and for values that
    it cannot hold exactly.

    Args:
        engine: A connection whose schema was checked; see :func:`open_database`.
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

        Returns:
            True when it was recorded now, False when the same version with the same digest was there already.

        Raises:
            VersionConflictError: The version, or its tag, is there with another digest.
        """
        return versions.register(self._engine, version, images, categories)

    def retire_version(self, tag: str, commit: str) -> bool:
        """Mark a version as removed, so that its names are free for its replacement.

        Args:
            tag: The dataset tag.
            commit: What it named; a version of another commit stays.

        Returns:
            Whether it was there.
        """
        return versions.retire(self._engine, tag, commit)

    def dependents(self, annotation_tag: str, training_tag: str) -> list[Dependent]:
        """What was made from a version, or is being made: models, champions, measurements, running runs."""
        return self._read(
            f"find what was made from {training_tag}",
            lambda connection: dependents.find(connection, annotation_tag, training_tag),
        )

    def versions(self, dataset: str | None = None) -> list[VersionRow]:
        """All versions, or those of one dataset, in the order in which they were registered."""
        return self._read("list the versions", lambda connection: versions.find(connection, dataset=dataset))

    def version(self, tag: str) -> VersionRow | None:
        """The version that a tag names, or None."""
        found = self._read(f"find version {tag}", lambda connection: versions.find(connection, tag=tag))
        return found[0] if found else None

    def category_counts(self, tag: str) -> list[CategoryCount]:
        """How often each category occurs in each split of a version; empty for a tag that is not registered."""
        return self._read(f"count categories of {tag}", lambda connection: versions.categories(connection, tag))

    def images(self, tag: str) -> Iterator[ImageRecord]:
        """The images of a version, in the order of their paths' SHA-256, read in pages."""
        page = self._read(f"list images of {tag}", functools.partial(versions.images, tag=tag, after=""))
        while page:
            yield from (image for _, image in page)
            after = page[-1][0]
            page = self._read(f"list images of {tag}", functools.partial(versions.images, tag=tag, after=after))

    def start_run(self, run: RunRecord) -> None:
        """Record that a run started, or continues.

        Raises:
            DatabaseError: Also when the run is known with another configuration.
        """
        runs.start(self._engine, run)

    def finish_run(self, run_id: str, state: RunState, message: str = "") -> None:
        """Record how a run ended.

        Args:
            run_id: A run that was started.
            state: Any but ``running``.
            message: Why it failed, or who stopped it; what is over 4,000 characters is cut.

        Raises:
            DatabaseError: Also when the run is not known.
        """
        runs.finish(self._engine, run_id, state, message)

    def correct_run(self, run_id: str, before: RunState, state: RunState, message: str = "") -> bool:
        """Change the state of a run that is known, if it is still the one that the change was decided on.

        Args:
            run_id: The run.
            before: Its state as it was read.
            state: What it becomes.
            message: As for :meth:`finish_run`.

        Returns:
            Whether it was changed.
        """
        return runs.correct(self._engine, run_id, before, state, message)

    def find_runs(self, run_ids: Iterable[str]) -> dict[str, RunRow]:
        """Those of some runs that are known, by their id."""
        found = self._read("find runs", lambda connection: lineage.runs_by_id(connection, run_ids))
        return {row.record.run_id: row for row in found}

    def runs(self, limit: int = 20) -> list[RunRow]:
        """The latest runs, the newest first."""
        return self._read("list the runs", lambda connection: runs.latest(connection, limit))

    def register_model(self, model: ModelRecord) -> None:
        """Record a model file; of one whose SHA-256 is known, only what is empty in its record is filled in."""
        scores.register_model(self._engine, model)

    def model(self, sha256: str) -> ModelRecord | None:
        """The model file with this SHA-256, or None."""
        return self._read(f"find model {sha256}", lambda connection: scores.find_model(connection, sha256))

    def record_metrics(self, model_sha256: str, dataset_tag: str, split: str, values: Mapping[str, float]) -> None:
        """Record metrics of a model; a metric that was measured before is replaced.

        Args:
            model_sha256: A registered model.
            dataset_tag: The training tag that it was measured on.
            split: ``val`` or ``test``.
            values: By the metric's name; finite.

        Raises:
            DatabaseError: Also when the model is not registered.
        """
        scores.record_metrics(self._engine, model_sha256, dataset_tag, split, values)

    def metrics(self, model_sha256: str, dataset_tag: str, split: str) -> dict[str, float]:
        """The metrics of a model on one split, by name."""
        return self._read(
            f"read metrics of model {model_sha256}",
            lambda connection: scores.metrics(connection, model_sha256, dataset_tag, split),
        )

    def record_promotion(self, promotion: PromotionRecord) -> None:
        """Record a new champion; nothing changes when its number is taken.

        One without a number takes the next; nothing changes when it is the champion already.

        Raises:
            DatabaseError: Also when one of the models is not registered.
        """
        promotions.record(self._engine, promotion)

    def champion(self, dataset: str, metric: str, task: str = "instance_segmentation") -> PromotionRow | None:
        """The present champion by one metric, with how it became so; None where there was no promotion yet."""
        return self._read(
            f"find the champion of {dataset} by {metric}",
            lambda connection: promotions.latest(connection, dataset, metric, task),
        )

    def references(self) -> References:
        """Every file, run and version that the database names."""
        return self._read("list what is needed", references.find)

    def record_uses(self, run_id: str, uses: Iterable[ModelUse]) -> None:
        """Record what models were in a run, whoever made them.

        Raises:
            DatabaseError: Also when one of the models is not registered.
        """
        run_models.record(self._engine, run_id, uses)

    def named(self, name: str, kinds: Iterable[NameKind] = get_args(NameKind)) -> Named:
        """What a name means: a tag; a run's id, or its beginning; a model's SHA-256, six digits of it, or its URI.

        Raises:
            UnknownNameError: Nothing of these kinds is called so, or several are.
        """
        return self._read(f"find {name}", lambda connection: names.resolve(connection, name, str(self), kinds))

    def lineage(self, asked: Named) -> Lineage:
        """Everything that something was made from, and everything that was made from it."""
        return self._read(f"trace {asked}", lambda connection: lineage.trace(connection, asked))

    def selections(self, run_rows: Iterable[RunRow]) -> dict[str, dict[str, RunChoice]]:
        """What came of each run by metric: its own best candidate, and the champion that stayed."""
        return self._read("read what runs selected", lambda connection: lineage.selections(connection, list(run_rows)))

    def _read(self, what: str, work: Callable[[Connection], Result]) -> Result:
        return read(self._engine, what, work)
