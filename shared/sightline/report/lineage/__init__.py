"""Lineage of data, runs and models as a page, as text and as JSON."""
