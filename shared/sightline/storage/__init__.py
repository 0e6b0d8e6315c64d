"""Storage back ends for result buckets, by URI scheme."""

from __future__ import annotations

from sightline.storage.base import Storage
from sightline.storage.object_info import ObjectInfo
from sightline.storage.transfer import Download, Outcome, Sink, Upload
from sightline.storage.uris import fetch, open_storage, open_uri, require_known

__all__ = [
    "Download",
    "ObjectInfo",
    "Outcome",
    "Sink",
    "Storage",
    "Upload",
    "fetch",
    "open_storage",
    "open_uri",
    "require_known",
]
