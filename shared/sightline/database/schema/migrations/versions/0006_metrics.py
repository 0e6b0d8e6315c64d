"""Create metrics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import CLUSTERED, key_string

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("metrics"):
        return
    op.create_table(
        "metrics",
        sa.Column("model_id", sa.Integer, nullable=False),
        sa.Column("dataset_tag", key_string(250), nullable=False),
        sa.Column("split", key_string(16), nullable=False),
        sa.Column("name", key_string(100), nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("model_id", "dataset_tag", "split", "name", name="pk_metrics"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_metrics_model_id"),
        **CLUSTERED,
    )
