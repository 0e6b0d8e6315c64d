"""Create split_counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import CLUSTERED, key_string

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("split_counts"):
        return
    op.create_table(
        "split_counts",
        sa.Column("version_id", sa.Integer, nullable=False),
        sa.Column("split", key_string(16), nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("version_id", "split", name="pk_split_counts"),
        sa.ForeignKeyConstraint(["version_id"], ["dataset_versions.id"], name="fk_split_counts_version_id"),
        **CLUSTERED,
    )
