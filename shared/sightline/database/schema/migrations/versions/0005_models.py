"""Create models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import TABLE_OPTIONS, UtcDateTime, key_string

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("models"):
        return
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("sha256", key_string(64), nullable=False),
        sa.Column("uri", key_string(1024), nullable=False),
        sa.Column("task", key_string(64), nullable=False),
        sa.Column("training_tag", key_string(250), nullable=False),
        sa.Column("run_id", key_string(100), nullable=True),
        sa.Column("code_rev", key_string(100), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("sha256", name="uq_models_sha256"),
        **TABLE_OPTIONS,
    )
