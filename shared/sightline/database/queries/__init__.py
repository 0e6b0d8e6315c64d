"""Queries and updates of the database tables."""
