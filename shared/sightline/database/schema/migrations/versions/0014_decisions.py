"""Create decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import CLUSTERED, key_string

revision = "0014"
down_revision = "0013"

NUMBERS = ("champion_value", "difference", "low", "high", "probability", "required")


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("decisions"):
        return
    op.create_table(
        "decisions",
        sa.Column("run_id", key_string(100), nullable=False),
        sa.Column("metric", key_string(100), nullable=False),
        sa.Column("outcome", key_string(16), nullable=False),
        sa.Column("candidate_sha256", key_string(64), nullable=False),
        sa.Column("champion_sha256", key_string(64), nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        *(sa.Column(name, sa.Double) for name in NUMBERS),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", key_string(1024), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "metric", name="pk_decisions"),
        **CLUSTERED,
    )
