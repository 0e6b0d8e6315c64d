"""Annotation formats, read and written."""
