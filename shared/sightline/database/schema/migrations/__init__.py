"""Alembic's folder: one migration a file, one table a migration."""
