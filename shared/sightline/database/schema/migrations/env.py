"""Run by Alembic for every upgrade; :func:`sightline.database.schema.upgrade.upgrade` passes the connection."""

from __future__ import annotations

from alembic import context

from sightline.database.schema.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
