"""The results of lineage queries: plain immutable data without database sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sightline.database.records import ModelRecord, ModelUse, RunRow, VersionRow

NameKind = Literal["annotations", "training", "run", "model"]

KIND_TITLES: dict[NameKind, str] = {
    "annotations": "annotation tag",
    "training": "training tag",
    "run": "run",
    "model": "model",
}
"""The name of each kind in messages."""


@dataclass(frozen=True, slots=True)
class Named:
    """The object that a name refers to.

    Attributes:
        kind: Kind of the object.
        name: Its full name: a tag, a run's id, or a model's SHA-256.
    """

    kind: NameKind
    name: str

    def __str__(self) -> str:
        return f"{KIND_TITLES[self.kind]} {self.name}"


@dataclass(frozen=True, slots=True)
class VersionLineage:
    """A dataset version.

    Attributes:
        row: Its registered row.
        images_per_split: ``{"train": 300, ...}``; empty for annotations.
    """

    row: VersionRow
    images_per_split: dict[str, int]


@dataclass(frozen=True, slots=True)
class Scores:
    """The metrics of a model on one split of one training set.

    Attributes:
        dataset_tag: The training tag.
        split: ``val`` or ``test``.
        values: Metric name -> value, 0 to 1.
    """

    dataset_tag: str
    split: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class RunUse:
    """The role of a model in one run.

    Attributes:
        run_id: The run.
        use: The role.
    """

    run_id: str
    use: ModelUse


@dataclass(frozen=True, slots=True)
class ModelLineage:
    """A model file.

    Attributes:
        record: Its registered record.
        created_at: Time of registration, UTC.
        scores: All its metrics, by training tag and split.
        uses: The runs that used it, with its roles.
    """

    record: ModelRecord
    created_at: datetime
    scores: list[Scores]
    uses: list[RunUse]


@dataclass(frozen=True, slots=True)
class PromotionLineage:
    """A change of champion.

    Attributes:
        dataset: The dataset's name.
        metric: Such as ``mask_AP``.
        task: The task of the models.
        sequence: Number of the change, ascending for this dataset, task and metric.
        model_sha256: The new champion.
        previous_sha256: The champion before; None if there was none.
        value: Its value, 0 to 1; None if it was promoted by hand and never measured.
        previous_value: The former champion's value on the same split; None if there was none.
        run_id: The run that decided; empty if it was decided outside a run.
        action: See :class:`~sightline.database.records.PromotionRecord`.
        actor: The run, or ``user@host``; empty if unknown.
        reason: Why it was promoted.
        evidence: URI of the evaluation with the compared values; empty if there is none.
        promoted_at: UTC.
        replaced_by: The next champion; None if this one is still the champion.
        replaced_at: UTC.
    """

    dataset: str
    metric: str
    task: str
    sequence: int
    model_sha256: str
    previous_sha256: str | None
    value: float | None
    previous_value: float | None
    run_id: str
    action: str
    actor: str
    reason: str
    evidence: str
    promoted_at: datetime
    replaced_by: str | None
    replaced_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """All objects from which an object was made, and all that were made from it.

    Attributes:
        asked: The object that was queried.
        annotations: Annotation tags, in order of registration.
        training_sets: Training tags, in order of registration.
        runs: Runs, newest first.
        models: Model files, newest first.
        promotions: Changes of champion that involve these models or this run, newest first.
        hidden_runs: Number of older runs that are not included.
        hidden_models: Number of older models that are not included.
        used: Run -> the training tags of ``training_sets`` that it used; runs without any are absent.
    """

    asked: Named
    annotations: list[VersionLineage]
    training_sets: list[VersionLineage]
    runs: list[RunRow]
    models: list[ModelLineage]
    promotions: list[PromotionLineage]
    hidden_runs: int = 0
    hidden_models: int = 0
    used: dict[str, list[str]] = field(default_factory=dict)
