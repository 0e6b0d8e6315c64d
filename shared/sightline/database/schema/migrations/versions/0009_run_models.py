"""Create run_models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import CLUSTERED, key_string

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("run_models"):
        return
    op.create_table(
        "run_models",
        sa.Column("run_id", key_string(100), nullable=False),
        sa.Column("model_id", sa.Integer, nullable=False),
        sa.Column("role", key_string(32), nullable=False),
        sa.Column("metric", key_string(100), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "model_id", "role", "metric", name="pk_run_models"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_run_models_model_id"),
        **CLUSTERED,
    )
