"""The record of what happened, in SQL."""
