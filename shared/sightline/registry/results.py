"""The results of the steps, which are read by later steps and reports.

A result is passed between tasks as a ``dict`` parameter of a few kB and stored in the result bucket as
``results/<step>/<tag>/<key>/result.json``, written after its files: if it exists, all files it lists exist.

A field that may be None has None as its default, because None is left out of a parameter
(:func:`sightline.registry.store.to_parameter`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from sightline import strict_json
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import StepError
from sightline.registry.gate_report import GateReport
from sightline.registry.leak_report import LeakReport
from sightline.registry.model_profile import ModelProfile


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine on which a step ran; empty in results of earlier releases.

    Attributes:
        device: Name of the GPU or of the processor.
        accelerators: Number of GPUs visible to torch; 0 if it ran on the CPU.
        threads: Number of torch threads.
        host: Name of the machine or pod.
        system: Operating system and architecture.
        python: Version.
        torch: Version, with the CUDA version after ``+`` if there is one.
        sightline: Version.
        memory_gb: Peak memory of the process, in GiB.
        gpu_memory_gb: Peak GPU memory of torch, in GiB; None without a GPU.
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
        dataset: Name of the dataset, such as ``plates``.
        version: Such as ``v1``.
        annotation_tag: The annotation tag it was created from.
        annotation_commit: The commit of that tag.
        training_tag: The published tag.
        training_commit: The commit of that tag.
        digest: MD5 of the DVC directory of the training set.
        images: Number of images per split: ``{"train": 300, "val": 60, "test": 60}``.
        instances: Number of instances per split and class: ``{"train": {"0": 123, ...}, ...}``.
        dropped: Number of shapes and images left out or clipped by the fault policies, by kind of fault.
        warnings: Warnings for users before training.
        files: URI of the folder of report files (``report.html``, ``report.json``, drawn examples).
        seconds: Duration of the step.
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
    """A model from training that can be selected.

    Attributes:
        name: ``best`` or ``last``.
        uri: The model file in the result bucket.
        sha256: SHA-256 of the model file, hexadecimal.
        iteration: Number of iterations after which it was saved.
        metrics: Its metrics on the val split, by name; empty if it was not validated.
        predictions: URI of the predictions of the network in memory for the first images of the val split; empty in
            results of earlier releases.
    """

    name: str
    uri: str
    sha256: str
    iteration: int
    metrics: dict[str, float]
    predictions: str = ""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Candidates trained on one training tag.

    Attributes:
        training_tag: The training tag.
        training_commit: The commit of the tag.
        candidates: The candidates in the order that decides ties.
        iterations: Number of completed iterations.
        history: URI of ``history.json`` (:class:`sightline.registry.training_history.History`).
        log: URI of the text log.
        seconds: Total duration of training, including all sessions.
        environment: The machine of the last session.
        trained_on: The tag on which the candidates were trained, if it differs from the tag on which they are measured.
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
        name: ``best``, ``last`` or ``champion``, or ``champion (<metric>)`` if champions differ between metrics.
        uri: The model file.
        sha256: SHA-256 of the model file.
        training_tag: The training tag it was trained on.
        metrics: Metric name -> value, such as ``box_AP50``, ``mask_AP``, ``dv_mAP``, ``EIR``.
        classes: The classes it was measured on, if it does not know all of them; empty: all.
        profile: Its speed and size; None in results of earlier releases.
        leaks: The images of val and test that it was trained on; None in results of earlier releases.
        parity: Whether the loaded file gives the predictions and metrics of the network that was saved, as one
            sentence; empty if training measured none.
    """

    name: str
    uri: str
    sha256: str
    training_tag: str
    metrics: dict[str, float]
    classes: list[str] = field(default_factory=list)
    profile: ModelProfile | None = None
    leaks: LeakReport | None = None
    parity: str = ""


ChampionKind = Literal["", "none", "measured", "unreadable", "incomparable"]
"""How the champion was found: ``unreadable`` if its pointer or model cannot be used, ``incomparable`` if the model has
another task or lacks classes that the metric needs; empty in results of earlier releases."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected model by one metric, and the run's own best candidate.

    Attributes:
        metric: The metric's name.
        uri: The selected model in the result bucket: the champion if it was measured and stays, otherwise the best
            candidate.
        sha256: SHA-256 of the selected model.
        name: The selected model's name among the scored models.
        value: Its value; on the shared classes if ``compared_classes`` is not empty.
        previous_sha256: The champion before; empty if there was none, or if its pointer cannot be read.
        previous_value: Its value on this split, on the same classes; None if there is none.
        promoted: Whether the best candidate becomes the champion.
        reason: One sentence for users.
        candidate: The best candidate's name among the scored models; empty in results of earlier releases.
        candidate_sha256: SHA-256 of its model file.
        candidate_uri: URI of its model file.
        candidate_value: Its value on the whole split.
        champion: How the champion before was found.
        champion_tag: The training tag of the previous champion; empty if unknown.
        obstacle: Why the champion could not be measured; empty if it was measured, or if there is none.
        compared_classes: The classes that candidate and champion were compared on; empty: all.
        added_classes: Classes that the champion lacks.
        removed_classes: Classes of the champion that the dataset no longer has.
        gate: The decision of the gate; None in results of earlier releases, and with ``data.fold``.
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
    gate: GateReport | None = None

    @property
    def champion_stays(self) -> bool:
        """Whether a champion other than the best candidate was measured and stays."""
        return self.champion == "measured" and self.sha256 != self.candidate_sha256


@dataclass(frozen=True, slots=True)
class EvaluateResult:
    """All candidates and the champion, measured on one val split.

    Attributes:
        training_tag: The training tag.
        models: All measured models.
        selections: One per chosen metric.
        files: URI of the folder with ``summary.json``, per-class tables, curves, drawn images.
        seconds: Duration of the step.
    """

    training_tag: str
    models: list[ScoredModel]
    selections: list[Selection]
    files: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TestedModel:
    """The run's best candidate or the champion that stayed, on the test split.

    Attributes:
        metric: The metrics by which it was chosen, separated by commas.
        uri: The model file in the result bucket.
        sha256: SHA-256 of the model file.
        metrics: Metrics on the test split, by name.
        images_per_second: Inference, one image at a time, including reading and decoding.
        predictions: URI of ``predictions.json``.
        name: Its name among the scored models of evaluate; empty in results of earlier releases.
        role: ``candidate`` or ``champion``; empty in results of earlier releases, which tested the selected model.
        classes: The classes it was measured on, if it does not know all of them; empty: all.
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
    """The run's best candidates, and the champions that stayed, on images that were not used for any decision.

    Attributes:
        training_tag: The training tag.
        images: Number of test images.
        unlabelled_images: Number of images of ``test.images`` that were inferred.
        models: The best candidates in the order of ``evaluate.select_by``, then the champions that stayed.
        files: URI of the folder with drawn images, readings and tables.
        seconds: Duration of the step.
        notes: Champions that could not be tested, and why.
        environment: The machine on which the models were timed.
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
    """``result.json``: a published result and the files that belong to it.

    Attributes:
        result: The result as JSON values.
        config_digest: Digest of the part of the configuration that the step depends on.
        created: Time of publication; UTC, ISO 8601.
        run_id: The run that published it; empty outside of runs.
        folder: Key of the folder in the bucket with its files.
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
    """Parse a result to JSON values of the current format, for reports.

    Args:
        step: ``record``, ``train``, ``evaluate`` or ``test``.
        text: The result as passed between tasks.

    Raises:
        StepError: The text cannot be parsed.
    """
    try:
        return _OF_STEP[step].upgrade(strict_json.decode(text))
    except (DocumentError, strict_json.JsonError) as error:
        otherwise = f"run {step} again"
        remedy = error.remedy(otherwise) if isinstance(error, DocumentError) else otherwise
        raise StepError(f"the result of {step} cannot be read ({error}); {remedy}") from error
