"""The results of lineage queries: plain immutable data, without sessions."""

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
"""How a person calls each kind."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a name means.

    Attributes:
        kind: Which kind of thing.
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
        row: As it was registered.
        images_per_split: ``{"train": 300, ...}``; empty for annotations.
    """

    row: VersionRow
    images_per_split: dict[str, int]


@dataclass(frozen=True, slots=True)
class Scores:
    """A model on one split of one training set.

    Attributes:
        dataset_tag: The training tag.
        split: ``val`` or ``test``.
        values: By the metric's name, 0 to 1.
    """

    dataset_tag: str
    split: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class RunUse:
    """What a model was in one run.

    Attributes:
        run_id: The run.
        use: What it was there.
    """

    run_id: str
    use: ModelUse


@dataclass(frozen=True, slots=True)
class ModelLineage:
    """A model file.

    Attributes:
        record: As it was registered.
        created_at: When, UTC.
        scores: Everything that was measured, by training tag and split.
        uses: The runs that it played a part in, and which.
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
        task: What the models do.
        sequence: Grows with the changes of this dataset, task and metric.
        model_sha256: The champion from then on.
        previous_sha256: The champion before; None when there was none.
        value: Its value, 0 to 1.
        previous_value: The former champion's value on the same split; None when there was none.
        run_id: The run that decided; empty when it ran outside a run.
        promoted_at: UTC.
        replaced_by: The champion after; None while there is none: it is the champion now.
        replaced_at: UTC.
    """

    dataset: str
    metric: str
    task: str
    sequence: int
    model_sha256: str
    previous_sha256: str | None
    value: float
    previous_value: float | None
    run_id: str
    promoted_at: datetime
    replaced_by: str | None
    replaced_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everything that something was made from, and everything that was made from it.

    Attributes:
        asked: What was asked for.
        annotations: Annotation tags, in the order of their registration.
        training_sets: Training tags, in the order of their registration.
        runs: Runs, the newest first.
        models: Model files, the newest first.
        promotions: Changes of champion that these models or this run had a part in, the newest first.
        hidden_runs: How many older runs there are.
        hidden_models: How many older models there are.
        used: By run, the training tags of ``training_sets`` that it used; a run that used none is absent.
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
