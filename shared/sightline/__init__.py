"""Sightline: from labelled images to a selected, tested and traceable vision model."""
