"""Create category_counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import CLUSTERED, key_string

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("category_counts"):
        return
    op.create_table(
        "category_counts",
        sa.Column("version_id", sa.Integer, nullable=False),
        sa.Column("category", key_string(255), nullable=False),
        sa.Column("split", key_string(16), nullable=False),
        sa.Column("instances", sa.Integer, nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("version_id", "category", "split", name="pk_category_counts"),
        sa.ForeignKeyConstraint(["version_id"], ["dataset_versions.id"], name="fk_category_counts_version_id"),
        **CLUSTERED,
    )
