"""The tables.

Keys compare byte by byte on every engine: MySQL's default collation would take ``v1`` for ``V1``, and its padding takes
``v1`` for ``v1`` with a blank, which is why :mod:`sightline.database.checks` refuses blanks at the ends.  A path is too
long for a MySQL index, so its SHA-256 is the key.

Whoever asks where something came from asks by its tag, its run or its model: each such column has an index, so that the
answer takes as long with a thousand versions as with one.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Double, ForeignKey, Index, Integer, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sightline.database.columns import CLUSTERED, TABLE_OPTIONS, UtcDateTime, key_string


class Base(DeclarativeBase):
    """All tables; constraints have names, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        }
    )


class DatasetVersion(Base):
    """A version of a dataset: ``pending`` inside the transaction that registers it, then ``published``."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("dataset", "version", "kind"),
        UniqueConstraint("tag"),
        Index(None, "parent_tag"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(key_string(100))
    version: Mapped[str] = mapped_column(key_string(100))
    kind: Mapped[str] = mapped_column(key_string(16))
    tag: Mapped[str] = mapped_column(key_string(250))
    commit: Mapped[str] = mapped_column(key_string(64))
    digest: Mapped[str] = mapped_column(key_string(64))
    parent_tag: Mapped[str] = mapped_column(key_string(250))
    configuration_digest: Mapped[str] = mapped_column(key_string(64))
    state: Mapped[str] = mapped_column(key_string(16))
    images: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Image(Base):
    """An image of a dataset version.  Rows lie in the order of the primary key, in which they are written."""

    __tablename__ = "images"
    __table_args__ = (CLUSTERED,)

    version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"), primary_key=True)
    path_sha256: Mapped[str] = mapped_column(key_string(64), primary_key=True)
    path: Mapped[str] = mapped_column(key_string(1024))
    split: Mapped[str] = mapped_column(key_string(16))
    sha256: Mapped[str] = mapped_column(key_string(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    group_name: Mapped[str] = mapped_column(key_string(255))


class SplitCount(Base):
    """How many images a split of a dataset version has: counted once, when the version is registered."""

    __tablename__ = "split_counts"
    __table_args__ = (CLUSTERED,)

    version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"), primary_key=True)
    split: Mapped[str] = mapped_column(key_string(16), primary_key=True)
    images: Mapped[int] = mapped_column(Integer)


class CategoryCountRow(Base):
    """How often a category occurs in one split of a dataset version."""

    __tablename__ = "category_counts"
    __table_args__ = (CLUSTERED,)

    version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"), primary_key=True)
    category: Mapped[str] = mapped_column(key_string(255), primary_key=True)
    split: Mapped[str] = mapped_column(key_string(16), primary_key=True)
    instances: Mapped[int] = mapped_column(Integer)
    images: Mapped[int] = mapped_column(Integer)


class Run(Base):
    """A run of the pipeline."""

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("run_id"), Index(None, "dataset_tag"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(key_string(100))
    recipe: Mapped[str] = mapped_column(key_string(100))
    configuration: Mapped[str] = mapped_column(Text)
    configuration_digest: Mapped[str] = mapped_column(key_string(64))
    dataset_tag: Mapped[str] = mapped_column(key_string(250))
    code_rev: Mapped[str] = mapped_column(key_string(100))
    state: Mapped[str] = mapped_column(key_string(16))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    message: Mapped[str] = mapped_column(Text)


class Model(Base):
    """A model file, known by its SHA-256.  Its run may be one that another system keeps, so it is no foreign key."""

    __tablename__ = "models"
    __table_args__ = (
        UniqueConstraint("sha256"),
        Index(None, "training_tag"),
        Index(None, "run_id"),
        Index(None, "uri", mysql_length={"uri": 255}, mariadb_length={"uri": 255}),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(key_string(64))
    uri: Mapped[str] = mapped_column(key_string(1024))
    task: Mapped[str] = mapped_column(key_string(64))
    training_tag: Mapped[str] = mapped_column(key_string(250))
    run_id: Mapped[str | None] = mapped_column(key_string(100))
    code_rev: Mapped[str] = mapped_column(key_string(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RunModel(Base):
    """What a model was in a run: ``best``, ``last``, ``champion``, ``selected`` (by ``metric``), ``tested``.

    It tells apart the run that made a model (``models.run_id``) and those that found it and used it.
    """

    __tablename__ = "run_models"
    __table_args__ = (Index(None, "model_id"), CLUSTERED)

    run_id: Mapped[str] = mapped_column(key_string(100), primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    role: Mapped[str] = mapped_column(key_string(32), primary_key=True)
    metric: Mapped[str] = mapped_column(key_string(100), primary_key=True)


class Metric(Base):
    """A metric of a model on one split of a dataset version, 0 to 1."""

    __tablename__ = "metrics"
    __table_args__ = (Index(None, "dataset_tag"), CLUSTERED)

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    dataset_tag: Mapped[str] = mapped_column(key_string(250), primary_key=True)
    split: Mapped[str] = mapped_column(key_string(16), primary_key=True)
    name: Mapped[str] = mapped_column(key_string(100), primary_key=True)
    value: Mapped[float] = mapped_column(Double)


class Promotion(Base):
    """A change of champion; ``sequence`` counts from 1 and says which is the latest, whatever the clocks say."""

    __tablename__ = "promotions"
    __table_args__ = (
        UniqueConstraint("dataset", "metric", "sequence"),
        UniqueConstraint("dataset", "metric", "model_id", "run_id"),
        Index(None, "model_id"),
        Index(None, "previous_model_id"),
        Index(None, "run_id"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(key_string(100))
    metric: Mapped[str] = mapped_column(key_string(100))
    sequence: Mapped[int] = mapped_column(Integer)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    previous_model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    value: Mapped[float] = mapped_column(Double)
    previous_value: Mapped[float | None] = mapped_column(Double)
    run_id: Mapped[str] = mapped_column(key_string(100))
    promoted_at: Mapped[datetime] = mapped_column(UtcDateTime)
