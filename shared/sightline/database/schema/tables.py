"""The tables.

Keys compare byte by byte on every engine: MySQL's default collation would take ``v1`` for ``V1``, and its padding takes
``v1`` for ``v1`` with a blank, which is why :mod:`sightline.database.schema.checks` refuses blanks at the ends.  A path
is too long for a MySQL index, so its SHA-256 is the key.

Whoever asks where something came from asks by its tag, its run or its model: each such column has an index, so that the
answer takes as long with a thousand versions as with one.

They are plain tables and no mapped classes: nobody here wants objects, and the mapper takes as long to import as a
lineage takes to read.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from sightline.database.schema.columns import CLUSTERED, TABLE_OPTIONS, UtcDateTime, key_string

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)
"""All tables; constraints have names, so that migrations can speak of them."""

VERSIONS = Table(
    "dataset_versions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("dataset", key_string(100), nullable=False),
    Column("version", key_string(100), nullable=False),
    Column("kind", key_string(16), nullable=False),
    Column("tag", key_string(250), nullable=False),
    Column("commit", key_string(64), nullable=False),
    Column("digest", key_string(64), nullable=False),
    Column("parent_tag", key_string(250), nullable=False),
    Column("configuration_digest", key_string(64), nullable=False),
    Column("state", key_string(16), nullable=False),
    Column("images", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("dataset", "version", "kind"),
    UniqueConstraint("tag"),
    Index(None, "parent_tag"),
    **TABLE_OPTIONS,
)
"""A version of a dataset: ``pending`` inside the transaction that registers it, then ``published``.

One that was taken back is ``removed``, with its commit at the end of ``version`` and ``tag``.
"""

IMAGES = Table(
    "images",
    METADATA,
    Column("version_id", ForeignKey("dataset_versions.id"), primary_key=True),
    Column("path_sha256", key_string(64), primary_key=True),
    Column("path", key_string(1024), nullable=False),
    Column("split", key_string(16), nullable=False),
    Column("sha256", key_string(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("group_name", key_string(255), nullable=False),
    **CLUSTERED,
)
"""An image of a dataset version.  Rows lie in the order of the primary key, in which they are written."""

SPLIT_COUNTS = Table(
    "split_counts",
    METADATA,
    Column("version_id", ForeignKey("dataset_versions.id"), primary_key=True),
    Column("split", key_string(16), primary_key=True),
    Column("images", Integer, nullable=False),
    **CLUSTERED,
)
"""How many images a split of a dataset version has: counted once, when the version is registered."""

CATEGORY_COUNTS = Table(
    "category_counts",
    METADATA,
    Column("version_id", ForeignKey("dataset_versions.id"), primary_key=True),
    Column("category", key_string(255), primary_key=True),
    Column("split", key_string(16), primary_key=True),
    Column("instances", Integer, nullable=False),
    Column("images", Integer, nullable=False),
    **CLUSTERED,
)
"""How often a category occurs in one split of a dataset version."""

RUNS = Table(
    "runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", key_string(100), nullable=False),
    Column("recipe", key_string(100), nullable=False),
    Column("configuration", Text, nullable=False),
    Column("configuration_digest", key_string(64), nullable=False),
    Column("dataset_tag", key_string(250), nullable=False),
    Column("code_rev", key_string(100), nullable=False),
    Column("state", key_string(16), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("message", Text, nullable=False),
    UniqueConstraint("run_id"),
    Index(None, "dataset_tag"),
    **TABLE_OPTIONS,
)
"""A run of the pipeline."""

MODELS = Table(
    "models",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sha256", key_string(64), nullable=False),
    Column("uri", key_string(1024), nullable=False),
    Column("task", key_string(64), nullable=False),
    Column("training_tag", key_string(250), nullable=False),
    Column("run_id", key_string(100)),
    Column("code_rev", key_string(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("sha256"),
    Index(None, "training_tag"),
    Index(None, "run_id"),
    Index(None, "uri", mysql_length={"uri": 255}, mariadb_length={"uri": 255}),
    **TABLE_OPTIONS,
)
"""A model file, known by its SHA-256.  Its run may be one that another system keeps, so it is no foreign key."""

RUN_MODELS = Table(
    "run_models",
    METADATA,
    Column("run_id", key_string(100), primary_key=True),
    Column("model_id", ForeignKey("models.id"), primary_key=True),
    Column("role", key_string(32), primary_key=True),
    Column("metric", key_string(100), primary_key=True),
    Index(None, "model_id"),
    **CLUSTERED,
)
"""What a model was in a run: ``best``, ``last``, ``champion``, ``proposed`` or ``selected`` by ``metric``, ``tested``.

It tells apart the run that made a model (``models.run_id``) and those that found it and used it.
"""

METRICS = Table(
    "metrics",
    METADATA,
    Column("model_id", ForeignKey("models.id"), primary_key=True),
    Column("dataset_tag", key_string(250), primary_key=True),
    Column("split", key_string(16), primary_key=True),
    Column("name", key_string(100), primary_key=True),
    Column("value", Double, nullable=False),
    Index(None, "dataset_tag"),
    **CLUSTERED,
)
"""A metric of a model on one split of a dataset version, 0 to 1."""

PROMOTIONS = Table(
    "promotions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("dataset", key_string(100), nullable=False),
    Column("metric", key_string(100), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("previous_model_id", ForeignKey("models.id")),
    Column("value", Double, nullable=False),
    Column("previous_value", Double),
    Column("run_id", key_string(100), nullable=False),
    Column("promoted_at", UtcDateTime, nullable=False),
    Column("task", key_string(64), nullable=False, server_default="instance_segmentation"),
    UniqueConstraint("task", "dataset", "metric", "sequence"),
    Index(None, "model_id"),
    Index(None, "previous_model_id"),
    Index(None, "run_id"),
    **TABLE_OPTIONS,
)
"""A change of champion; ``sequence`` grows with each of one task, dataset and metric and says which is the latest,
whatever the clocks say.  A model may become champion again, by the same run too."""
