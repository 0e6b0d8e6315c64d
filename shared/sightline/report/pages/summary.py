"""The ``summary.json`` that evaluate and test write next to their drawn images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sightline import strict_json
from sightline.config.task_declarations import is_higher_better, known_metrics
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import DataError
from sightline.registry.gate_report import GateReport
from sightline.registry.leak_report import LeakReport
from sightline.registry.model_profile import ModelProfile
from sightline.report.page import reason_of
from sightline.report.pages.summary_formats import with_sections
from sightline.report.sections import Remark, Section, Text, at_score


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelSummary(_Part):
    """One measured model; a metric that could not be computed is absent.

    Attributes:
        note: How the metrics were computed, in full sentences.
        sections: The page sections of its measurement.
        intervals: Metric -> limits of its 95 % interval.
        profile: Speed and size; None if they were not measured.
        leaks: Images that it was trained on; None if nobody checked.
        parity: Whether the saved model gives the predictions and metrics of the trained one, as one sentence; empty if
            unknown.
    """

    uri: str = ""
    sha256: str = ""
    training_tag: str = ""
    metrics: dict[str, float] = {}
    note: str = ""
    sections: list[Section] = []
    images_per_second: float | None = None
    intervals: dict[str, tuple[float, float]] = {}
    profile: ModelProfile | None = None
    leaks: LeakReport | None = None
    parity: str = ""


class SelectionSummary(_Part):
    """The model selected by one metric, and the reason.

    Attributes:
        gate: The decision of the gate; None if there was none.
    """

    metric: str
    name: str = ""
    value: float | None = None
    previous_value: float | None = None
    previous_sha256: str = ""
    promoted: bool = False
    reason: str = ""
    uri: str = ""
    sha256: str = ""
    gate: GateReport | None = None

    @property
    def had_champion(self) -> bool:
        """Whether there already was a champion, measurable or not."""
        return bool(self.previous_sha256) or self.previous_value is not None or is_champion(self.name)

    @property
    def decision(self) -> str:
        """The decision, in two or three words."""
        if self.promoted:
            return "new champion"
        return "champion stays" if self.had_champion else "not promoted"


class DrawnImage(_Part):
    """One drawn image; its paths are relative to the folder of ``summary.json``.

    Attributes:
        annotation: The labelme file of the image in the data repository; empty if there is none.
    """

    image: str
    model: str = ""
    truth: str = ""
    prediction: str = ""
    texts: list[Text] = []
    remark: Remark | None = None
    annotation: str = ""

    @property
    def mistakes(self) -> int:
        """Number of mistakes in the prediction; 0 if unknown."""
        return self.remark.mistakes if self.remark else 0


class Summary(_Part):
    """The contents of ``summary.json``, and the folder that its paths are relative to.

    Attributes:
        score_threshold: Lowest score of drawn predictions; 0: all are drawn; None in older documents.
    """

    folder: Path
    training_tag: str = ""
    split: str = ""
    score_threshold: float | None = None
    images: int = 0
    classes: list[str] = []
    models: dict[str, ModelSummary] = {}
    selections: list[SelectionSummary] = []
    drawn: list[DrawnImage] = []
    unlabelled: list[DrawnImage] = []

    @property
    def note(self) -> str:
        """How the metrics were computed."""
        return next((model.note for model in self.models.values() if model.note), "")

    @property
    def has_intervals(self) -> bool:
        """Whether any model has intervals of its metrics."""
        return any(model.intervals for model in self.models.values())

    @property
    def at_score(self) -> str:
        """The score threshold of drawn predictions, as text; empty if there was none."""
        return "" if self.score_threshold == 0 else at_score(self.score_threshold)

    def drawn_by(self, model: str) -> list[DrawnImage]:
        """The drawn images of a model, most mistakes first."""
        own = [item for item in self.drawn if item.model in (model, "")]
        return sorted(own, key=lambda item: -item.mistakes)

    def file(self, relative: str) -> Path | None:
        """The path of a drawn image; None if it does not exist or is outside the folder."""
        path = self.folder / relative
        inside = path.resolve().is_relative_to(self.folder.resolve())
        return path if relative and inside and path.is_file() else None

    @property
    def metric_names(self) -> list[str]:
        """The metrics of the models for a table of a few columns, most important first."""
        return [name for name in self.all_metric_names if is_main_metric(name)]

    @property
    def all_metric_names(self) -> list[str]:
        """All metrics of the models, most important first."""
        names = dict.fromkeys(name for model in self.models.values() for name in model.metrics)
        declared = [name for name in known_metrics() if name in names]
        return list(dict.fromkeys([*declared, *names]))

    def best(self, metric: str) -> float | None:
        """The best value of a metric among the models: the lowest of an error (``..._error``), else the highest.

        None if no model is better than another.
        """
        values = {model.metrics[metric] for model in self.models.values() if metric in model.metrics}
        best = max if is_higher_better(metric) else min
        return best(values) if len(values) > 1 else None

    def shown(self) -> dict[str, list[str]]:
        """The models that a page shows in full, with the reasons: the run's own candidates, then kept champions.

        On val these are the selected models, and the best candidates if the champion was kept; on test all tested
        models.  If nothing was selected, all models are shown.
        """
        roles: dict[str, dict[str, list[str]]] = {}
        for selection in self.selections:
            stays = is_champion(selection.name)
            if selection.name in self.models:
                role = "stays champion by" if stays else "selected by" if selection.promoted else "best by"
                roles.setdefault(selection.name, {}).setdefault(role, []).append(selection.metric)
            best = self.best_own(selection.metric) if stays and self.split != "test" else ""
            if best:
                roles.setdefault(best, {}).setdefault("best candidate by", []).append(selection.metric)
        if not roles or self.split == "test":
            roles = {name: roles.get(name, {}) for name in self.models}
        return {
            name: [f"{role} {', '.join(metrics)}" for role, metrics in roles[name].items()]
            for name in sorted(roles, key=is_champion)
        }

    def best_own(self, metric: str) -> str:
        """The run's own candidate with the highest value of a metric, the first if several are equal; may be empty."""
        own = {
            name: model.metrics[metric]
            for name, model in self.models.items()
            if metric in model.metrics and not is_champion(name)
        }
        return max(own, key=lambda name: own[name], default="")


def is_main_metric(name: str) -> bool:
    """Whether a metric is for short tables: not by object size, of a single label set, or a recall of detections."""
    detail = name.endswith(("_small", "_medium", "_large")) or "/" in name
    return not (detail or "_AR_" in name or "_recall_at_" in name)


SUMMARY = DocumentKind("summary", Summary, upgrades=(with_sections,))


def is_champion(name: str) -> bool:
    """Whether this is the name of an earlier champion rather than of one of the run's own candidates."""
    return name == "champion" or name.startswith("champion (")


def read_summary(folder: Path) -> Summary:
    """Read ``summary.json`` of a folder.

    Raises:
        DataError: It is missing or invalid.
    """
    path = folder / "summary.json"
    try:
        raw: dict[str, Any] = {"folder": folder}
        return Summary.model_validate(SUMMARY.upgrade(strict_json.decode(path.read_bytes())) | raw)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else reason_of(error)
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) if isinstance(error, ValidationError) else ""
        remedy = error.remedy("run the step again") if isinstance(error, DocumentError) else "run the step again"
        raise DataError(
            f"{path}{': ' + where if where else ''}: cannot read the summary: {reason}; {remedy}"
        ) from error
