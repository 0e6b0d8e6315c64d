"""Create promotions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import TABLE_OPTIONS, UtcDateTime, key_string

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("promotions"):
        return
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("dataset", key_string(100), nullable=False),
        sa.Column("metric", key_string(100), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("model_id", sa.Integer, nullable=False),
        sa.Column("previous_model_id", sa.Integer, nullable=True),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("previous_value", sa.Double, nullable=True),
        sa.Column("run_id", key_string(100), nullable=False),
        sa.Column("promoted_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_promotions_model_id"),
        sa.ForeignKeyConstraint(["previous_model_id"], ["models.id"], name="fk_promotions_previous_model_id"),
        sa.UniqueConstraint("dataset", "metric", "sequence", name="uq_promotions_dataset_metric_sequence"),
        sa.UniqueConstraint(
            "dataset", "metric", "model_id", "run_id", name="uq_promotions_dataset_metric_model_id_run_id"
        ),
        **TABLE_OPTIONS,
    )
