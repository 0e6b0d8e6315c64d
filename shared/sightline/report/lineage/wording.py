"""Text for lineage, shared by pages and terminal output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from sightline.config.difference import Difference, differences_from_recipe
from sightline.config.task_declarations import known_metrics, listed_metrics
from sightline.database import ModelLineage, ModelUse, PromotionLineage, RunRow, Scores, VersionLineage
from sightline.report.lineage.document import run_configuration
from sightline.report.wording import NOTHING, count_text

UNKNOWN = "unknown"
"""How, or by whom, a champion was promoted by an earlier release."""

_SHOWN_DIGITS = 12


def short(name: str | None) -> str:
    """The first digits of a SHA-256, a commit or a digest; other names are not shortened."""
    if not name:
        return NOTHING
    return name[:_SHOWN_DIGITS] if len(name) >= 32 and not set(name) - set("0123456789abcdef.dir") else name


def time_text(moment: datetime | None) -> str:
    """Such as ``2026-11-21 09:08``, UTC."""
    return NOTHING if moment is None else moment.strftime("%Y-%m-%d %H:%M")


def images_text(version: VersionLineage) -> str:
    """Such as ``420 images``, or ``294 train, 63 val, 63 test images``."""
    parts = [f"{count_text(number)} {split}" for split, number in version.images_per_split.items()]
    return f"{', '.join(parts) or count_text(version.row.images)} images"


def roles_text(uses: Iterable[ModelUse]) -> str:
    """The roles of a model in a run, such as ``best, selected by mask_AP and EIR, tested``."""
    order = ("best", "last", "candidate", "champion")
    given = list(uses)
    roles = sorted(
        {use.role for use in given} - {"selected", "proposed", "tested"},
        key=lambda role: (order.index(role) if role in order else 9, role),
    )
    chosen = sorted(use.metric for use in given if use.role == "selected")
    passed_over = sorted({use.metric for use in given if use.role == "proposed"} - set(chosen))
    selected = [f"best candidate by {' and '.join(passed_over)}"] if passed_over else []
    selected += [f"selected by {' and '.join(chosen)}"] if chosen else []
    return ", ".join([*roles, *selected, *(["tested"] if any(use.role == "tested" for use in given) else [])])


def standing(sha256: str, promotions: Iterable[PromotionLineage]) -> tuple[list[str], list[str]]:
    """The metrics by which a model is champion now, and those by which it was before."""
    own = [promotion for promotion in promotions if promotion.model_sha256 == sha256]
    now = {promotion.metric for promotion in own if promotion.replaced_by is None}
    return sorted(now), sorted({promotion.metric for promotion in own} - now)


def standing_text(sha256: str, promotions: Iterable[PromotionLineage]) -> str:
    """Such as ``champion by mask_AP; was champion by EIR``; empty if the model never was champion."""
    now, before = standing(sha256, promotions)
    parts = [f"champion by {', '.join(now)}"] if now else []
    return "; ".join([*parts, *([f"was champion by {', '.join(before)}"] if before else [])])


def promoter_text(action: str, actor: str) -> str:
    """Such as ``rollback by alice@host``; ``unknown`` for promotions by earlier releases.

    Example:
        >>> promoter_text("gate", "20261121-0908"), promoter_text("", "")
        ('gate by 20261121-0908', 'unknown')
    """
    return f"{action or UNKNOWN} by {actor or UNKNOWN}" if action or actor else UNKNOWN


def changes_text(run: RunRow) -> list[str]:
    """Differences of the run's configuration from its recipe in this version of Sightline, one line per value."""
    changed = differences_from_recipe(run_configuration(run))
    if changed is None:
        return [f"unknown recipe: {run.record.recipe}"]
    return [f"{one.path} = {value_text(one.now)} (recipe: {value_text(one.before)})" for one in changed]


def value_text(value: object) -> str:
    """A configuration value as text."""
    return (
        NOTHING
        if value is None
        else value
        if isinstance(value, str) and value
        else json.dumps(value, ensure_ascii=False)
    )


def difference_rows(found: Sequence[Difference]) -> list[tuple[str, str, str]]:
    """(path, before, now) as text."""
    return [(one.path, value_text(one.before), value_text(one.now)) for one in found]


def shown_metrics(models: Iterable[ModelLineage], limit: int) -> list[str]:
    """The key metrics that at least one of the models has, at most ``limit``."""
    present = {name for model in models for scores in model.scores for name in scores.values}
    return [name for name in listed_metrics() if name in present][:limit] or sorted(present)[:limit]


def metric_order(name: str) -> tuple[int, str]:
    """Sort key: metrics in the order in which tasks declare them; others, such as those by object size, last."""
    declared = list(known_metrics())
    return (declared.index(name) if name in declared else len(declared), name)


def shown_scores(model: ModelLineage, tags: Sequence[str]) -> list[Scores]:
    """The scores of a model for a list: those on ``tags``, or, if there are none, those on its own training set."""
    own = [one for one in model.scores if one.dataset_tag in tags]
    return own or [one for one in model.scores if one.dataset_tag == model.record.training_tag]
