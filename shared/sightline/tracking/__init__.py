"""Trackers, which record trainings: curves, images, models."""

from __future__ import annotations

from sightline.tracking.base import PrecisionRecallCurve, TrackedImage, Tracker, open_trackers
from sightline.tracking.description import Scalar, TrackedTraining, flat_parameters, mlflow_uri

__all__ = [
    "PrecisionRecallCurve",
    "Scalar",
    "TrackedImage",
    "TrackedTraining",
    "Tracker",
    "flat_parameters",
    "mlflow_uri",
    "open_trackers",
]
