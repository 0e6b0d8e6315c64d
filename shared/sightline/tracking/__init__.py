"""Trackers, which record training curves."""

from __future__ import annotations

from sightline.tracking.base import Tracker, open_trackers

__all__ = ["Tracker", "open_trackers"]
