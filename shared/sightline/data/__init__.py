"""Annotations, images, splits and the data repository."""
