"""Add the task to promotions, and allow a model to become champion again in the same run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import key_string

revision = "0012"
down_revision = "0011"

TASK = "instance_segmentation"
OLD = ("uq_promotions_dataset_metric_sequence", "uq_promotions_dataset_metric_model_id_run_id")
NEW = "uq_promotions_task_dataset_metric_sequence"
COLUMNS = ["task", "dataset", "metric", "sequence"]

ON_A_SERVER = f"""
ALTER TABLE promotions
ADD COLUMN task VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '{TASK}',
{", ".join(f"DROP INDEX {name}" for name in OLD)},
ADD CONSTRAINT {NEW} UNIQUE ({", ".join(COLUMNS)})
"""


def upgrade() -> None:
    """One statement, skipped if it was done before; SQLite copies the table within the upgrade's transaction."""
    connection = op.get_bind()
    if "task" in {column["name"] for column in sa.inspect(connection).get_columns("promotions")}:
        return
    if connection.dialect.name != "sqlite":
        op.execute(ON_A_SERVER)
        return
    with op.batch_alter_table("promotions", recreate="always") as table:
        table.add_column(sa.Column("task", key_string(64), nullable=False, server_default=TASK))
        for name in OLD:
            table.drop_constraint(name, type_="unique")
        table.create_unique_constraint(NEW, COLUMNS)
