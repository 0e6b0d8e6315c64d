"""The ``summary.json`` that evaluate and test leave beside their drawn images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sightline import strict_json
from sightline.errors import DataError
from sightline.report.page import reason_of


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Curves(_Part):
    """Precision at recall 0, 0.01, ..., 1 a class, for boxes and for masks, at IoU 0.5."""

    box: dict[str, list[float]] = {}
    mask: dict[str, list[float]] = {}


class Confusion(_Part):
    """Counts; rows are the truth, columns what was predicted."""

    labels: list[str] = []
    matrix: list[list[int]] = []


class ReadPlate(_Part):
    """One plate as it was read, or as it is; texts in reading order; a read one may lack parts."""

    kind: str = ""
    complete: bool = True
    texts: list[str] | dict[str, str] = []

    @property
    def text(self) -> str:
        """The plate's texts, one after the other."""
        parts = self.texts.values() if isinstance(self.texts, dict) else self.texts
        return " ".join(parts)


class ReadingExample(_Part):
    """The plates of one image, true and read."""

    image: str
    truth: list[ReadPlate] = []
    read: list[ReadPlate] = []
    right: bool = False


class Readings(_Part):
    """Plates in the truth (``true``), plates read exactly (``read``), and read ones that no true plate matches."""

    true: int = 0
    read: int = 0
    false: int = 0
    examples: list[ReadingExample] = []


class ModelSummary(_Part):
    """One measured model; a metric that could not be computed is absent."""

    uri: str = ""
    sha256: str = ""
    training_tag: str = ""
    metrics: dict[str, float] = {}
    per_class: dict[str, dict[str, float]] = {}
    curves: Curves = Curves()
    confusion: Confusion | None = None
    readings: Readings | None = None
    images_per_second: float | None = None


class SelectionSummary(_Part):
    """Who won by one metric, and why."""

    metric: str
    name: str = ""
    value: float | None = None
    previous_value: float | None = None
    promoted: bool = False
    reason: str = ""
    uri: str = ""
    sha256: str = ""


class DrawnImage(_Part):
    """One image, drawn; the paths are relative to the folder of ``summary.json``."""

    image: str
    model: str = ""
    truth: str = ""
    prediction: str = ""
    read: list[ReadPlate] = []


class Summary(_Part):
    """All of ``summary.json``, with the folder that its paths are relative to."""

    folder: Path
    training_tag: str = ""
    split: str = ""
    images: int = 0
    classes: list[str] = []
    models: dict[str, ModelSummary] = {}
    selections: list[SelectionSummary] = []
    drawn: list[DrawnImage] = []
    unlabelled: list[DrawnImage] = []

    def file(self, relative: str) -> Path | None:
        """A drawn image's path; None when it is not there or would lie outside the folder."""
        path = self.folder / relative
        inside = path.resolve().is_relative_to(self.folder.resolve())
        return path if relative and inside and path.is_file() else None

    @property
    def metric_names(self) -> list[str]:
        """Every metric that a model has but those by object size, in the order of first mention."""
        names = dict.fromkeys(name for model in self.models.values() for name in model.metrics)
        return [name for name in names if not name.endswith(("_small", "_medium", "_large"))]

    def best(self, metric: str) -> float | None:
        """The highest value of a metric among the models."""
        return max((model.metrics[metric] for model in self.models.values() if metric in model.metrics), default=None)

    def winners(self) -> dict[str, list[str]]:
        """The selected models' names with the metrics that chose them; every model when nothing was selected."""
        chosen: dict[str, list[str]] = {}
        for selection in self.selections:
            if selection.name in self.models:
                chosen.setdefault(selection.name, []).append(selection.metric)
        return chosen or {name: [] for name in self.models}


def read_summary(folder: Path) -> Summary:
    """Read ``summary.json`` of a folder.

    Raises:
        DataError: It is missing, or not what evaluate and test write.
    """
    path = folder / "summary.json"
    try:
        raw: dict[str, Any] = {"folder": folder}
        return Summary.model_validate(raw | _json_object(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        reason = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else reason_of(error)
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) if isinstance(error, ValidationError) else ""
        raise DataError(
            f"{path}{': ' + where if where else ''}: no summary to report on: {reason}; run the step again"
        ) from error


def _json_object(text: bytes) -> dict[str, Any]:
    value = strict_json.decode(text)
    if not isinstance(value, dict):
        raise TypeError(f"a JSON object was expected, not {type(value).__name__}")
    return value
