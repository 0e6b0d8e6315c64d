"""Result buckets, by URI scheme."""

from __future__ import annotations

from sightline.storage.base import ObjectInfo, Storage
from sightline.storage.uris import fetch, open_storage, open_uri

__all__ = ["ObjectInfo", "Storage", "fetch", "open_storage", "open_uri"]
