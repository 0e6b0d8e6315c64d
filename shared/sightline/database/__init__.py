"""The record of what happened, in SQL."""

from __future__ import annotations

from sightline.database.records import (
    CategoryCount,
    ImageRecord,
    ModelRecord,
    PromotionRecord,
    PromotionRow,
    RunRecord,
    RunRow,
    RunState,
    VersionKind,
    VersionRecord,
    VersionRow,
)
from sightline.database.registry import Database, open_database

__all__ = [
    "CategoryCount",
    "Database",
    "ImageRecord",
    "ModelRecord",
    "PromotionRecord",
    "PromotionRow",
    "RunRecord",
    "RunRow",
    "RunState",
    "VersionKind",
    "VersionRecord",
    "VersionRow",
    "open_database",
]
