"""Add to promotions who changed the champion, how, why and on what evidence; allow models that were never measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import key_string

revision = "0013"
down_revision = "0012"

KEYS = {"action": 32, "actor": 255, "evidence": 1024}

_ADDED = (
    f"ADD COLUMN {name} VARCHAR({length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT ''"
    for name, length in KEYS.items()
)
ON_A_SERVER = f"""
ALTER TABLE promotions
MODIFY COLUMN value DOUBLE NULL,
{", ".join(_ADDED)},
ADD COLUMN reason TEXT NULL
"""


def upgrade() -> None:
    """One statement, skipped if it was done before; SQLite copies the table within the upgrade's transaction."""
    connection = op.get_bind()
    if "actor" in {column["name"] for column in sa.inspect(connection).get_columns("promotions")}:
        return
    if connection.dialect.name != "sqlite":
        op.execute(ON_A_SERVER)
        return
    with op.batch_alter_table("promotions", recreate="always") as table:
        table.alter_column("value", existing_type=sa.Double, nullable=True)
        for name, length in KEYS.items():
            table.add_column(sa.Column(name, key_string(length), nullable=False, server_default=""))
        table.add_column(sa.Column("reason", sa.Text, nullable=True))
