"""The SQL database of versions, runs, models and metrics."""

from __future__ import annotations

from sightline.database.lineage_records import (
    KIND_TITLES,
    Lineage,
    ModelLineage,
    Named,
    NameKind,
    PromotionLineage,
    RunUse,
    Scores,
    VersionLineage,
)
from sightline.database.queries.dependents import Dependent
from sightline.database.records import (
    CategoryCount,
    DecisionRecord,
    ImageRecord,
    ModelRecord,
    ModelUse,
    PromotionRecord,
    PromotionRow,
    RunChoice,
    RunRecord,
    RunRow,
    RunState,
    VersionKind,
    VersionRecord,
    VersionRow,
)
from sightline.database.registry import Database, open_database

__all__ = [
    "KIND_TITLES",
    "CategoryCount",
    "Database",
    "DecisionRecord",
    "Dependent",
    "ImageRecord",
    "Lineage",
    "ModelLineage",
    "ModelRecord",
    "ModelUse",
    "NameKind",
    "Named",
    "PromotionLineage",
    "PromotionRecord",
    "PromotionRow",
    "RunChoice",
    "RunRecord",
    "RunRow",
    "RunState",
    "RunUse",
    "Scores",
    "VersionKind",
    "VersionLineage",
    "VersionRecord",
    "VersionRow",
    "open_database",
]
