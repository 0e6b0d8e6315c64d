"""The components: each a thin shell around one step of the helper package."""

BASE_IMAGE = "sightline/base-python3.11:0.1.0"
"""resolve and record: no torch inside."""

TRAIN_IMAGE = "sightline/train-python3.11:0.1.0"
"""train, evaluate and test."""
