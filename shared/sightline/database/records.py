"""The records of the database: plain immutable data without database sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

VersionKind = Literal["annotations", "training"]
RunState = Literal["running", "succeeded", "failed", "interrupted", "stopped"]
"""``interrupted``: ended without notice, for example by a kill; ``stopped``: ended by a user."""


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A dataset version to register.

    Attributes:
        dataset: Name of the dataset, such as ``plates``.
        version: Such as ``v1``.
        kind: ``annotations`` or ``training``.
        tag: Its Git tag, such as ``plates_train_v1``.
        commit: The commit of the tag.
        digest: MD5 of its DVC directory; versions with the same name must have the same digest.
        parent_tag: The tag that it was created from; empty for annotations.
        configuration_digest: Digest of the configuration that it was created with; empty for annotations.
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
        path: POSIX path relative to the data repository; unique within the version.
        sha256: SHA-256 of the file, hexadecimal.
        size_bytes: Size of the file.
        width: Pixels, upright.
        height: Pixels, upright.
        group: Images with the same group stay in one split; empty for none.
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
    """The number of instances of a category in one split of a dataset version."""

    category: str
    split: str
    instances: int
    images: int


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A registered dataset version.

    Attributes:
        record: The registered record.
        images: Number of its images.
        created_at: Time of registration, UTC.
    """

    record: VersionRecord
    images: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run to register.

    Attributes:
        run_id: Unique; an existing id continues that run.
        recipe: Name of the recipe.
        configuration: The full configuration as JSON.
        configuration_digest: Digest of ``configuration``.
        dataset_tag: The dataset tag it was started with.
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
    """A registered run.

    Attributes:
        record: The registered record.
        state: ``running`` until an end is recorded, even if the run was killed.
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
        sha256: SHA-256 of the file, hexadecimal: the model's identity.
        uri: Its location.
        task: Such as ``instance_segmentation``.
        training_tag: The training tag it was trained on.
        run_id: The run that created it; None if it was created elsewhere.
        code_rev: The code revision that created it.
    """

    sha256: str
    uri: str
    task: str
    training_tag: str
    run_id: str | None
    code_rev: str


@dataclass(frozen=True, slots=True)
class ModelUse:
    """The role of a model in a run.

    Attributes:
        model_sha256: The model, registered before.
        role: ``best`` or ``last`` (its name in train), ``champion`` (the model that evaluate compared with),
            ``proposed`` (the run's own best), ``selected`` (that, or the champion if it stays) or ``tested``;
            ``candidate`` if an older release did not store the name.
        metric: The metric by which it was proposed or selected; empty for the other roles.
    """

    model_sha256: str
    role: str
    metric: str = ""


@dataclass(frozen=True, slots=True)
class RunChoice:
    """The outcome of a run by one metric, on val.

    Attributes:
        model: SHA-256 of the run's own best candidate; of the selected model if an earlier release stored only that.
        value: Its value on the run's own training set, 0 to 1.
        champion: SHA-256 of the champion that stayed; empty if none did.
        champion_value: Its value on the same split; None if it was measured on a subset of the classes, or none stayed.
    """

    model: str
    value: float
    champion: str = ""
    champion_value: float | None = None


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """A model that becomes the champion by one metric.

    Attributes:
        dataset: Name of the dataset.
        metric: Such as ``mask_AP``.
        model_sha256: The new champion, registered before.
        previous_sha256: The champion before; None if there was none.
        value: The new champion's value, 0 to 1; None if it was promoted by hand and never measured.
        previous_value: The former champion's value on the same split; None if there was none.
        run_id: The run that decided; empty outside a run, for example for a pointer that was reset manually.
        task: The task of the models.
        sequence: Number of the promotion for this dataset, task and metric; 0: use the next one.
        action: ``gate``, ``by hand``, ``by hand, uncompared``, ``rollback`` or ``pointer edited``; empty if an earlier
            release recorded it.
        actor: The run, or ``user@host``; empty if unknown.
        reason: Why it was promoted.
        evidence: URI of the evaluation with the compared values; empty if there is none.
    """

    dataset: str
    metric: str
    model_sha256: str
    previous_sha256: str | None
    value: float | None
    previous_value: float | None
    run_id: str
    task: str = "instance_segmentation"
    sequence: int = 0
    action: str = ""
    actor: str = ""
    reason: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class PromotionRow:
    """A recorded promotion.

    Attributes:
        record: The registered record.
        model: The new champion.
        promoted_at: UTC.
    """

    record: PromotionRecord
    model: ModelRecord
    promoted_at: datetime


DecisionOutcome = Literal["promoted", "refused", "unchanged"]


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What a run decided about the champion by one metric.

    Attributes:
        metric: Such as ``mask_AP``.
        outcome: ``promoted``; ``refused``; or ``unchanged`` if the best candidate was the champion already.
        candidate_sha256: The best candidate.
        champion_sha256: The champion that it was compared with; empty if there was none.
        value: The value of the candidate on the val split.
        champion_value: That of the champion; None if it was not measured.
        difference: How much better the candidate is on the classes that both know; None if it was not compared.
        low: Lower limit of the 95 % interval of the difference; None without values per image.
        high: Upper limit.
        probability: Probability that the candidate is better by more than the minimum gain, 0 to 1.
        required: The probability that was required.
        reason: The decision, in one sentence.
        evidence: URI of the evaluation.
    """

    metric: str
    outcome: DecisionOutcome
    candidate_sha256: str
    champion_sha256: str
    value: float
    champion_value: float | None
    difference: float | None
    low: float | None
    high: float | None
    probability: float | None
    required: float | None
    reason: str
    evidence: str
