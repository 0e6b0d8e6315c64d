"""What Alembic runs for every upgrade; :func:`sightline.database.schema.upgrade` passes the connection."""

from __future__ import annotations

from alembic import context

from sightline.database.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
