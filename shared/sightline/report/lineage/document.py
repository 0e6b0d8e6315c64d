"""Lineage and runs as JSON values, for ``--json``.  The keys are stable."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sightline.config.difference import differences_from_recipe
from sightline.data.suggestions.kept import ReviewSummary
from sightline.database import Lineage, ModelLineage, PromotionLineage, RunChoice, RunRow, VersionLineage
from sightline.strict_json import decode

Document = dict[str, Any]


def lineage_document(lineage: Lineage, reviews: Mapping[str, ReviewSummary] | None = None) -> Document:
    """The whole lineage; times are UTC, ISO 8601.

    Args:
        lineage: The lineage.
        reviews: Annotation tag -> what people made of the suggestions that led to it.
    """
    known = reviews or {}
    return {
        "asked": {"kind": lineage.asked.kind, "name": lineage.asked.name},
        "annotations": [_annotations(version, known) for version in lineage.annotations],
        "training_sets": [
            _version(version)
            | {
                "annotation_tag": version.row.record.parent_tag,
                "configuration_digest": version.row.record.configuration_digest,
                "images_per_split": version.images_per_split,
            }
            for version in lineage.training_sets
        ],
        "runs": [run_document(run) for run in lineage.runs],
        "models": [_model(model) for model in lineage.models],
        "promotions": [_promotion(promotion) for promotion in lineage.promotions],
        "hidden": {"runs": lineage.hidden_runs, "models": lineage.hidden_models},
    }


def run_document(run: RunRow) -> Document:
    """A run with its full configuration."""
    return {
        "run_id": run.record.run_id,
        "state": run.state,
        "message": run.message,
        "recipe": run.record.recipe,
        "dataset_tag": run.record.dataset_tag,
        "code_rev": run.record.code_rev,
        "started": _time(run.started_at),
        "finished": _time(run.finished_at),
        "seconds": run_seconds(run),
        "configuration_digest": run.record.configuration_digest,
        "configuration": run_configuration(run),
    }


def choices_document(choices: Mapping[str, RunChoice]) -> Document:
    """By metric: the run's best candidate, the champion if it was kept, and which of the two was selected."""
    ordered = sorted(choices.items())
    return {
        "candidates": {
            metric: {
                "model": one.model,
                "value": one.value,
                "champion": one.champion or None,
                "champion_value": one.champion_value,
            }
            for metric, one in ordered
        },
        "selected": {
            metric: {"model": one.champion, "value": one.champion_value}
            if one.champion
            else {"model": one.model, "value": one.value}
            for metric, one in ordered
        },
    }


def recipe_document(run: RunRow) -> Document | None:
    """Differences of a run's configuration from its recipe in this version of Sightline; None without such a recipe."""
    changed = differences_from_recipe(run_configuration(run))
    return None if changed is None else {one.path: {"recipe": one.before, "run": one.now} for one in changed}


def run_configuration(run: RunRow) -> Document:
    """The full configuration of a run."""
    configuration = decode(run.record.configuration)
    return configuration if isinstance(configuration, dict) else {}


def run_seconds(run: RunRow) -> float | None:
    """Duration of the run; None while it is running."""
    return None if run.finished_at is None else (run.finished_at - run.started_at).total_seconds()


def _annotations(version: VersionLineage, reviews: Mapping[str, ReviewSummary]) -> Document:
    review = reviews.get(version.row.record.tag)
    made = {} if review is None else {"suggestions": {"for": review.base, "model": review.model, **review.counts}}
    return _version(version) | made


def _version(version: VersionLineage) -> Document:
    record = version.row.record
    return {
        "tag": record.tag,
        "dataset": record.dataset,
        "version": record.version,
        "commit": record.commit,
        "digest": record.digest,
        "images": version.row.images,
        "registered": _time(version.row.created_at),
    }


def _model(model: ModelLineage) -> Document:
    record = model.record
    return {
        "sha256": record.sha256,
        "uri": record.uri,
        "task": record.task,
        "training_tag": record.training_tag,
        "run_id": record.run_id,
        "code_rev": record.code_rev,
        "registered": _time(model.created_at),
        "metrics": [
            {"dataset_tag": scores.dataset_tag, "split": scores.split, "values": scores.values}
            for scores in model.scores
        ],
        "uses": [{"run_id": one.run_id, "role": one.use.role, "metric": one.use.metric} for one in model.uses],
    }


def _promotion(promotion: PromotionLineage) -> Document:
    return {
        "dataset": promotion.dataset,
        "metric": promotion.metric,
        "task": promotion.task,
        "sequence": promotion.sequence,
        "model": promotion.model_sha256,
        "value": promotion.value,
        "previous_model": promotion.previous_sha256,
        "previous_value": promotion.previous_value,
        "run_id": promotion.run_id,
        "action": promotion.action,
        "actor": promotion.actor,
        "reason": promotion.reason,
        "evidence": promotion.evidence or None,
        "promoted": _time(promotion.promoted_at),
        "replaced_by": promotion.replaced_by,
        "replaced": _time(promotion.replaced_at),
        "champion_now": promotion.replaced_by is None,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
