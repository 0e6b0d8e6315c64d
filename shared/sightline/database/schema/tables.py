"""The tables.

Keys are compared by bytes on every engine: MySQL's default collation would treat ``v1`` and ``V1`` as equal, and its
padding ``v1`` and ``v1`` with a trailing space; so :mod:`sightline.database.schema.checks` rejects trailing spaces.  A
path is too long for a MySQL index, so its SHA-256 is the key.

Lineage queries search by tag, run or model: each such column has an index, so that they take as long with a thousand
versions as with one.

They are plain tables without mapped classes: objects are not needed, and importing the mapper takes as long as reading
a lineage.
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
"""All tables; constraints have names, so that migrations can refer to them."""

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

A removed version is ``removed``, with its commit appended to ``version`` and ``tag``.
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
"""An image of a dataset version.  The table is clustered by the primary key and written in this order."""

SPLIT_COUNTS = Table(
    "split_counts",
    METADATA,
    Column("version_id", ForeignKey("dataset_versions.id"), primary_key=True),
    Column("split", key_string(16), primary_key=True),
    Column("images", Integer, nullable=False),
    **CLUSTERED,
)
"""The number of images in a split of a dataset version, counted once at registration."""

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
"""The number of instances of a category in one split of a dataset version."""

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
"""A model file, identified by its SHA-256.  Its run may be stored in another system, so it is not a foreign key."""

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
"""The role of a model: ``best``, ``last``, ``champion``, ``proposed`` or ``selected`` by ``metric``, ``tested``.

It distinguishes the run that created a model (``models.run_id``) from runs that reused it.
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
    Column("value", Double),
    Column("previous_value", Double),
    Column("run_id", key_string(100), nullable=False),
    Column("promoted_at", UtcDateTime, nullable=False),
    Column("task", key_string(64), nullable=False, server_default="instance_segmentation"),
    Column("action", key_string(32), nullable=False, server_default=""),
    Column("actor", key_string(255), nullable=False, server_default=""),
    Column("evidence", key_string(1024), nullable=False, server_default=""),
    Column("reason", Text),
    UniqueConstraint("task", "dataset", "metric", "sequence"),
    Index(None, "model_id"),
    Index(None, "previous_model_id"),
    Index(None, "run_id"),
    **TABLE_OPTIONS,
)
"""A change of champion; ``sequence`` increases for each task, dataset and metric and determines the latest one,
independent of clocks.  A model may become champion again, even in the same run.  ``action`` and ``actor`` are empty in
rows of earlier releases; ``value`` is null for a model that was promoted by hand and never measured."""

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("run_id", key_string(100), primary_key=True),
    Column("metric", key_string(100), primary_key=True),
    Column("outcome", key_string(16), nullable=False),
    Column("candidate_sha256", key_string(64), nullable=False),
    Column("champion_sha256", key_string(64), nullable=False),
    Column("value", Double, nullable=False),
    Column("champion_value", Double),
    Column("difference", Double),
    Column("low", Double),
    Column("high", Double),
    Column("probability", Double),
    Column("required", Double),
    Column("reason", Text, nullable=False),
    Column("evidence", key_string(1024), nullable=False),
    **CLUSTERED,
)
"""What a run decided by one metric, also if no champion changed.  The models are named by their SHA-256 without a
reference, because a champion that could not be read is in no other table."""
