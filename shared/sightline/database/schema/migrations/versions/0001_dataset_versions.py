"""Create dataset_versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import TABLE_OPTIONS, UtcDateTime, key_string

revision = "0001"
down_revision = None


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("dataset_versions"):
        return
    op.create_table(
        "dataset_versions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("dataset", key_string(100), nullable=False),
        sa.Column("version", key_string(100), nullable=False),
        sa.Column("kind", key_string(16), nullable=False),
        sa.Column("tag", key_string(250), nullable=False),
        sa.Column("commit", key_string(64), nullable=False),
        sa.Column("digest", key_string(64), nullable=False),
        sa.Column("parent_tag", key_string(250), nullable=False),
        sa.Column("configuration_digest", key_string(64), nullable=False),
        sa.Column("state", key_string(16), nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dataset_versions"),
        sa.UniqueConstraint("dataset", "version", "kind", name="uq_dataset_versions_dataset_version_kind"),
        sa.UniqueConstraint("tag", name="uq_dataset_versions_tag"),
        **TABLE_OPTIONS,
    )
