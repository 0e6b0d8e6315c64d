"""Create runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import TABLE_OPTIONS, UtcDateTime, key_string

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("runs"):
        return
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", key_string(100), nullable=False),
        sa.Column("recipe", key_string(100), nullable=False),
        sa.Column("configuration", sa.Text, nullable=False),
        sa.Column("configuration_digest", key_string(64), nullable=False),
        sa.Column("dataset_tag", key_string(250), nullable=False),
        sa.Column("code_rev", key_string(100), nullable=False),
        sa.Column("state", key_string(16), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime, nullable=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("run_id", name="uq_runs_run_id"),
        **TABLE_OPTIONS,
    )
