"""Alembic's folder: one file per migration, at most one table per migration."""
