"""What each step leaves behind: what the next step reads and what the report shows.

A result travels between tasks as a JSON string parameter of a few kB and lies in the result bucket as
``results/<step>/<tag>/<key>/result.json``, written after its files: where it is, everything it names is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from sightline.strict_json import CLOSED


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a step computed; a result of an earlier release says nothing of it.

    Attributes:
        device: Name of the GPU or of the processor.
        accelerators: How many GPUs torch saw; 0 where it computed on the processor.
        threads: Threads of torch.
        host: The machine or pod.
        system: Operating system and architecture.
        python: Version.
        torch: Version, with that of CUDA behind a ``+`` where it has one.
        sightline: Version.
        memory_gb: The most memory that the process held, in GiB.
        gpu_memory_gb: The most memory that torch held on the GPU, in GiB; None without one.
    """

    __pydantic_config__ = CLOSED

    device: str
    accelerators: int
    threads: int
    host: str
    system: str
    python: str
    torch: str
    sightline: str
    memory_gb: float
    gpu_memory_gb: float | None


@dataclass(frozen=True, slots=True)
class RecordResult:
    """A published training set.

    Attributes:
        dataset: Its name, such as ``plates``.
        version: Such as ``v1``.
        annotation_tag: Where it came from.
        annotation_commit: What that tag named.
        training_tag: What was published.
        training_commit: What that tag names.
        digest: MD5 of the DVC directory of the training set.
        images: Images a split: ``{"train": 300, "val": 60, "test": 60}``.
        instances: Instances a split and class: ``{"train": {"0": 123, ...}, ...}``.
        dropped: What the fault policies left out or mended, a count for each kind of fault.
        warnings: What a person should know before training.
        files: URI of the folder of report files (``report.html``, ``report.json``, drawn examples).
        seconds: How long the step took when it was done.
    """

    __pydantic_config__ = CLOSED

    dataset: str
    version: str
    annotation_tag: str
    annotation_commit: str
    training_tag: str
    training_commit: str
    digest: str
    images: dict[str, int]
    instances: dict[str, dict[str, int]]
    dropped: dict[str, int]
    warnings: list[str]
    files: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that training offers for selection.

    Attributes:
        name: ``best`` or ``last``.
        uri: The model file in the result bucket.
        sha256: Of the model file, hexadecimal.
        iteration: After how many iterations it was taken.
        metrics: Its metrics on the val split, by name.
    """

    __pydantic_config__ = CLOSED

    name: str
    uri: str
    sha256: str
    iteration: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Candidates, trained on one training tag.

    Attributes:
        training_tag: The data.
        training_commit: What the tag named.
        candidates: In the order in which ties are decided.
        iterations: Iterations done.
        history: URI of ``history.json``: ``[{"iteration": 20, "loss": 1.2, "learning_rate": ..., ...,
            "val/mask_AP": ...}, ...]``.
        log: URI of the text log.
        seconds: How long training took, all its sessions together.
        environment: Where its last session computed.
        trained_on: The tag that the candidates were trained on, where it is another than they are measured on.
    """

    __pydantic_config__ = CLOSED

    training_tag: str
    training_commit: str
    candidates: list[Candidate]
    iterations: int
    history: str
    log: str
    seconds: float
    environment: Environment | None = None
    trained_on: str = ""


@dataclass(frozen=True, slots=True)
class ScoredModel:
    """A model with its metrics on the val split.

    Attributes:
        name: ``best``, ``last`` or ``champion``, or ``champion (<metric>)`` where champions differ.
        uri: The model file.
        sha256: Of the model file.
        training_tag: What it was trained on.
        metrics: By name, such as ``box_AP50``, ``mask_AP``, ``dv_mAP``, ``EIR``.
    """

    __pydantic_config__ = CLOSED

    name: str
    uri: str
    sha256: str
    training_tag: str
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Selection:
    """Who won by one metric.

    Attributes:
        metric: The metric's name.
        uri: The selected model in the result bucket.
        sha256: Of the selected model.
        name: The winner's name among the scored models.
        value: The winner's value.
        previous_sha256: The champion before; empty when there was none.
        previous_value: Its value on this split; None when there was none.
        promoted: Whether the winner is new.
        reason: One sentence for a person.
    """

    __pydantic_config__ = CLOSED

    metric: str
    uri: str
    sha256: str
    name: str
    value: float
    previous_sha256: str
    previous_value: float | None
    promoted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class EvaluateResult:
    """Every candidate and the champion, measured on one val split.

    Attributes:
        training_tag: The data.
        models: All that were measured.
        selections: One a chosen metric.
        files: URI of the folder with ``summary.json``, per-class tables, curves, drawn images.
        seconds: How long the step took.
    """

    __pydantic_config__ = CLOSED

    training_tag: str
    models: list[ScoredModel]
    selections: list[Selection]
    files: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TestedModel:
    """A selected model on the test split.

    Attributes:
        metric: The metric by which it was selected.
        uri: The model file in the result bucket.
        sha256: Of the model file.
        metrics: On the test split, by name.
        images_per_second: Inference, one image at a time, decoding and reading included.
        predictions: URI of ``predictions.json``.
    """

    __pydantic_config__ = CLOSED

    metric: str
    uri: str
    sha256: str
    metrics: dict[str, float]
    images_per_second: float
    predictions: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """The selected models on images that nothing was decided on.

    Attributes:
        training_tag: The data.
        images: Number of test images.
        unlabelled_images: Number of images of ``test.images`` that were inferred.
        models: One a distinct selected model.
        files: URI of the folder with drawn images, readings and tables.
        seconds: How long the step took.
        environment: Where the models were timed.
    """

    __pydantic_config__ = CLOSED

    training_tag: str
    images: int
    unlabelled_images: int
    models: list[TestedModel]
    files: str
    seconds: float
    environment: Environment | None = None
