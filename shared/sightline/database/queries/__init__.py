"""Queries and updates of the tables."""
