"""Index every column that lineage queries use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

INDEXES = (
    ("dataset_versions", "parent_tag"),
    ("runs", "dataset_tag"),
    ("models", "training_tag"),
    ("models", "run_id"),
    ("models", "uri"),
    ("run_models", "model_id"),
    ("metrics", "dataset_tag"),
    ("promotions", "model_id"),
    ("promotions", "previous_model_id"),
    ("promotions", "run_id"),
)
"""(table, column)."""

PREFIX = {"uri": 255}
"""Characters of a column in MySQL's index, for columns that are too long for a complete index."""


def upgrade() -> None:
    """One statement per index; skipped if the index exists."""
    for table, column in INDEXES:
        name = f"ix_{table}_{column}"
        if name in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
            continue
        length = {column: PREFIX[column]} if column in PREFIX else None
        op.create_index(name, table, [column], mysql_length=length, mariadb_length=length)
