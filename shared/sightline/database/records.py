"""The records of the database: plain immutable data, without sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

VersionKind = Literal["annotations", "training"]
RunState = Literal["running", "succeeded", "failed", "interrupted", "stopped"]
"""``interrupted`` ended without a word, such as by a kill; ``stopped`` was ended by somebody on purpose."""


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A dataset version to be registered.

    Attributes:
        dataset: Its name, such as ``plates``.
        version: Such as ``v1``.
        kind: ``annotations`` or ``training``.
        tag: The Git tag that names it, such as ``plates_train_v1``.
        commit: What the tag names.
        digest: MD5 of its DVC directory; two versions with one name must have one digest.
        parent_tag: The tag that it was made from; empty for annotations.
        configuration_digest: Digest of the configuration that it was made with; empty for annotations.
    """

    dataset: str
    version: str
    kind: VersionKind
    tag: str
    commit: str
    digest: str
    parent_tag: str = ""
    configuration_digest: str = ""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a dataset version.

    Attributes:
        split: ``train``, ``val`` or ``test``; empty for annotations.
        path: POSIX path relative to the data repository; unique in its version.
        sha256: Of the file, hexadecimal.
        size_bytes: Of the file.
        width: Pixels, upright.
        height: Pixels, upright.
        group: Images of one group stay in one split; empty for none.
    """

    split: str
    path: str
    sha256: str
    size_bytes: int
    width: int
    height: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """How often a category occurs in one split of a dataset version."""

    category: str
    split: str
    instances: int
    images: int


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A dataset version that is registered.

    Attributes:
        record: As it was registered.
        images: Number of its images.
        created_at: When it was registered, UTC.
    """

    record: VersionRecord
    images: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run that begins.

    Attributes:
        run_id: Unique; the same again goes on with the run.
        recipe: The recipe's name.
        configuration: The full configuration as JSON.
        configuration_digest: Of ``configuration``.
        dataset_tag: The tag that it was started for.
        code_rev: The code revision.
    """

    run_id: str
    recipe: str
    configuration: str
    configuration_digest: str
    dataset_tag: str
    code_rev: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run that is known.

    Attributes:
        record: As it was started.
        state: ``running`` until somebody says otherwise: a killed run stays so.
        started_at: UTC.
        finished_at: UTC; None while it runs.
        message: Why it failed, or who stopped it.
    """

    record: RunRecord
    state: RunState
    started_at: datetime
    finished_at: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model file.

    Attributes:
        sha256: Of the file, hexadecimal: the model's identity.
        uri: Where it lies.
        task: Such as ``instance_segmentation``.
        training_tag: What it was trained on.
        run_id: The run that made it; None when it came from elsewhere.
        code_rev: The code revision that made it.
    """

    sha256: str
    uri: str
    task: str
    training_tag: str
    run_id: str | None
    code_rev: str


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What a model was in a run.

    Attributes:
        model_sha256: The model, registered before.
        role: ``best`` or ``last`` (how train called it), ``champion`` (what evaluate compared with), ``proposed`` (the
            run's own best), ``selected`` (that, or the champion where it stays) or ``tested``; ``candidate`` where an
            older Sightline kept no name.
        metric: By which it was proposed or selected; empty for the other roles.
    """

    model_sha256: str
    role: str
    metric: str = ""


@dataclass(frozen=True, slots=True)
class RunChoice:
    """What came of a run by one metric, on val.

    Attributes:
        model: SHA-256 of the run's own best candidate; of what it selected where an earlier release kept no more.
        value: Its value on the run's own training set, 0 to 1.
        champion: SHA-256 of the champion that stayed; empty where none did.
        champion_value: Its value on the same; None where it was measured on a part of the classes, or none stayed.
    """

    model: str
    value: float
    champion: str = ""
    champion_value: float | None = None


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """A model that becomes the champion by one metric.

    Attributes:
        dataset: The dataset's name.
        metric: Such as ``mask_AP``.
        model_sha256: The new champion, registered before.
        previous_sha256: The champion before; None when there was none.
        value: The new champion's value, 0 to 1.
        previous_value: The former champion's value on the same split; None when there was none.
        run_id: The run that decided; empty where none did, as for a pointer that was put back by hand.
        task: What the models do.
        sequence: Its number among those of this dataset, task and metric; 0: the next one.
    """

    dataset: str
    metric: str
    model_sha256: str
    previous_sha256: str | None
    value: float
    previous_value: float | None
    run_id: str
    task: str = "instance_segmentation"
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class PromotionRow:
    """The promotion that made the present champion.

    Attributes:
        record: As it was recorded.
        model: The champion.
        promoted_at: UTC.
    """

    record: PromotionRecord
    model: ModelRecord
    promoted_at: datetime
