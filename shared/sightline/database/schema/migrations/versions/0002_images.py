"""Create images."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sightline.database.schema.columns import CLUSTERED, key_string

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One statement, skipped if it was done before."""
    if sa.inspect(op.get_bind()).has_table("images"):
        return
    op.create_table(
        "images",
        sa.Column("version_id", sa.Integer, nullable=False),
        sa.Column("path_sha256", key_string(64), nullable=False),
        sa.Column("path", key_string(1024), nullable=False),
        sa.Column("split", key_string(16), nullable=False),
        sa.Column("sha256", key_string(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("group_name", key_string(255), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "path_sha256", name="pk_images"),
        sa.ForeignKeyConstraint(["version_id"], ["dataset_versions.id"], name="fk_images_version_id"),
        **CLUSTERED,
    )
