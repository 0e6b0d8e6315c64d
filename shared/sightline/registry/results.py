"""What each step leaves behind: what the next step reads and what the report shows.

A result travels between tasks as a ``dict`` parameter of a few kB and lies in the result bucket as
``results/<step>/<tag>/<key>/result.json``, written after its files: where it is, everything it names is there.

A field that may be None has None as its default, because a parameter leaves it out
(:func:`sightline.registry.store.to_parameter`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from sightline import strict_json
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import StepError


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

    device: str
    accelerators: int
    threads: int
    host: str
    system: str
    python: str
    torch: str
    sightline: str
    memory_gb: float
    gpu_memory_gb: float | None = None


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
        history: URI of ``history.json`` (:class:`sightline.registry.training_history.History`).
        log: URI of the text log.
        seconds: How long training took, all its sessions together.
        environment: Where its last session computed.
        trained_on: The tag that the candidates were trained on, where it is another than they are measured on.
    """

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
        classes: The classes that it was measured on, where it does not know all of them; empty: all.
    """

    name: str
    uri: str
    sha256: str
    training_tag: str
    metrics: dict[str, float]
    classes: list[str] = field(default_factory=list)


ChampionKind = Literal["", "none", "measured", "unreadable", "incomparable"]
"""How the champion was found: ``unreadable`` is a pointer or model that cannot be used, ``incomparable`` a model of
another task or without the classes that the metric needs; empty in results of earlier releases."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Who won by one metric, and the run's own best candidate.

    Attributes:
        metric: The metric's name.
        uri: The selected model in the result bucket: the champion where it was measured and stays, else the best
            candidate.
        sha256: Of the selected model.
        name: The selected model's name among the scored models.
        value: Its value; on the shared classes where ``compared_classes`` names them.
        previous_sha256: The champion before; empty when there was none, or when its pointer cannot be read.
        previous_value: Its value on this split, on the same classes; None when there is none.
        promoted: Whether the best candidate becomes champion.
        reason: One sentence for a person.
        candidate: The best candidate's name among the scored models; empty in results of earlier releases.
        candidate_sha256: Of its model file.
        candidate_uri: Its model file.
        candidate_value: Its value on the whole split.
        champion: How the champion before was found.
        champion_tag: What the champion before was trained on; empty when nothing is known of it.
        obstacle: Why the champion could not be measured; empty where it was, or where there is none.
        compared_classes: The classes that candidate and champion were compared on; empty: all.
        added_classes: Classes that the champion does not know.
        removed_classes: Classes of the champion that the dataset does not have any more.
    """

    metric: str
    uri: str
    sha256: str
    name: str
    value: float
    previous_sha256: str
    previous_value: float | None = field(default=None, kw_only=True)
    promoted: bool
    reason: str
    candidate: str = ""
    candidate_sha256: str = ""
    candidate_uri: str = ""
    candidate_value: float | None = None
    champion: ChampionKind = ""
    champion_tag: str = ""
    obstacle: str = ""
    compared_classes: list[str] = field(default_factory=list)
    added_classes: list[str] = field(default_factory=list)
    removed_classes: list[str] = field(default_factory=list)

    @property
    def champion_stays(self) -> bool:
        """Whether a champion was measured that is not the best candidate, and keeps its place."""
        return self.champion == "measured" and self.sha256 != self.candidate_sha256


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

    training_tag: str
    models: list[ScoredModel]
    selections: list[Selection]
    files: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TestedModel:
    """The run's best candidate or the champion that stays, on the test split.

    Attributes:
        metric: The metrics by which it is that, with commas.
        uri: The model file in the result bucket.
        sha256: Of the model file.
        metrics: On the test split, by name.
        images_per_second: Inference, one image at a time, decoding and reading included.
        predictions: URI of ``predictions.json``.
        name: Its name among the scored models of evaluate; empty in results of earlier releases.
        role: ``candidate`` or ``champion``; empty in results of earlier releases, which tested what was selected.
        classes: The classes that it was measured on, where it does not know all of them; empty: all.
    """

    metric: str
    uri: str
    sha256: str
    metrics: dict[str, float]
    images_per_second: float
    predictions: str
    name: str = ""
    role: Literal["", "candidate", "champion"] = ""
    classes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TestResult:
    """The run's best candidates, and the champions that stay, on images that nothing was decided on.

    Attributes:
        training_tag: The data.
        images: Number of test images.
        unlabelled_images: Number of images of ``test.images`` that were inferred.
        models: The best candidates in the order of ``evaluate.select_by``, then the champions that stay.
        files: URI of the folder with drawn images, readings and tables.
        seconds: How long the step took.
        notes: Champions that could not be tested, and why.
        environment: Where the models were timed.
    """

    training_tag: str
    images: int
    unlabelled_images: int
    models: list[TestedModel]
    files: str
    seconds: float
    notes: list[str] = field(default_factory=list)
    environment: Environment | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """``result.json``: a published result with the files that belong to it.

    Attributes:
        result: The result as JSON values.
        config_digest: Of the part of the configuration that the step depends on.
        created: When it was published; UTC, ISO 8601.
        run_id: The run that published it; empty outside of runs.
        folder: Key of the folder in the bucket that holds its files.
        files: Path relative to ``folder`` -> ``type``, ``size`` and ``crc32c``.
    """

    result: dict[str, Any]
    config_digest: str
    created: str
    run_id: str = ""
    folder: str = ""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)


RESULTS: dict[type, DocumentKind[Any]] = {
    RecordResult: DocumentKind("result of record", RecordResult),
    TrainResult: DocumentKind("result of train", TrainResult),
    EvaluateResult: DocumentKind("result of evaluate", EvaluateResult),
    TestResult: DocumentKind("result of test", TestResult),
}
PUBLICATION = DocumentKind("published result", Publication)

_OF_STEP = {kind.title.rpartition(" ")[2]: kind for kind in RESULTS.values()}


def result_values(step: str, text: str) -> dict[str, Any]:
    """A result as JSON values of the present format, as pages show it.

    Args:
        step: ``record``, ``train``, ``evaluate`` or ``test``.
        text: As it travels between tasks.

    Raises:
        StepError: It cannot be read.
    """
    try:
        return _OF_STEP[step].upgrade(strict_json.decode(text))
    except (DocumentError, strict_json.JsonError) as error:
        otherwise = f"run {step} again"
        remedy = error.remedy(otherwise) if isinstance(error, DocumentError) else otherwise
        raise StepError(f"the result of {step} cannot be read ({error}); {remedy}") from error
