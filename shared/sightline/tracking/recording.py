"""The common part of trackers that are reached over a network or written by a program of their own."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sightline.errors import ConfigurationError
from sightline.extras import installation_command
from sightline.plural import counted
from sightline.tracking.base import PrecisionRecallCurve, TrackedImage, Tracker
from sightline.tracking.curves import curve_documents
from sightline.tracking.description import Scalar, TrackedTraining
from sightline.tracking.lines import LineFile, read_lines
from sightline.tracking.outbox import Outbox
from sightline.tracking.record import Kind, Record
from sightline.url_secrets import redact

CLOSE_SECONDS, UPLOAD_SECONDS = 10.0, 120.0
"""How long the end of a training waits: for a server that is away, and for one that receives values and files."""

_BATCH = 50

_log = logging.getLogger(__name__)


class RecordingTracker(Tracker):
    """Delivers records in a thread, and keeps them in ``<folder>/<name>-log.jsonl`` until the end.

    A record that was not delivered when the process was killed is delivered after the resume.  Images are only
    kept in memory.

    Args:
        name: Name of the tracker.
        training: The training.
        deliver: Delivers records in order and marks them as done; see :class:`~sightline.tracking.outbox.Outbox`.
    """

    immediate: ClassVar[bool] = True  # the outbox has a thread, and the file must not be behind the checkpoint

    def __init__(self, name: str, training: TrackedTraining, deliver: Callable[[Sequence[Record]], None]) -> None:
        self._name, self._iteration = name, training.resume_iteration
        path = training.folder / f"{name}-log.jsonl"
        kept = [line for line in read_lines(path, "kind") if line["iteration"] <= training.resume_iteration]
        self._file = LineFile(path, kept)
        self._outbox: Outbox[Record] = Outbox(name, deliver, batch=_BATCH)
        self._end, self._is_closed = ("FINISHED", ""), False
        self._models: dict[str, Record] = {}
        for line in kept:
            self._outbox.put(Record(**line))

    def log_parameters(self, parameters: Mapping[str, Scalar]) -> None:
        """See :meth:`sightline.tracking.Tracker.log_parameters`."""
        self._keep(self._record("parameters", dict(parameters)))

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """See :meth:`sightline.tracking.Tracker.log_metrics`."""
        self._iteration = iteration
        self._keep(self._record("metrics", dict(values)))

    def log_images(self, iteration: int, name: str, images: Sequence[TrackedImage]) -> None:
        """See :meth:`sightline.tracking.Tracker.log_images`."""
        self._iteration = iteration
        size = sum(image.pixels.nbytes for image in images)
        self._outbox.put(self._record("images", tuple(images), name), size)

    def log_curves(self, iteration: int, name: str, curves: Sequence[PrecisionRecallCurve]) -> None:
        """See :meth:`sightline.tracking.Tracker.log_curves`."""
        self._iteration = iteration
        self._keep(self._record("curves", curve_documents(curves), name))

    def log_model(self, path: Path, name: str, metrics: Mapping[str, float]) -> None:
        """Record a model; an earlier one with this name that still waits is left out."""
        if name in self._models:
            self._models[name].is_done = True
        record = self._record("model", {"path": str(path.absolute()), "metrics": dict(metrics)}, name)
        self._models[name] = record
        self._keep(record)

    def failed(self, error: BaseException) -> None:
        """See :meth:`sightline.tracking.Tracker.failed`."""
        state = "FAILED" if isinstance(error, Exception) else "KILLED"
        self._end = (state, redact(f"{type(error).__name__}: {error}"))

    def close(self) -> None:
        """Deliver what can be delivered in time; what is left stays in the file."""
        if self._is_closed:
            return
        self._is_closed = True
        state, message = self._end
        self._outbox.put(self._record("end", state, message))
        left = [record for record in self._outbox.close(CLOSE_SECONDS, UPLOAD_SECONDS) if not record.is_done]
        self._file.close()
        if left:
            _log.warning(
                "tracker %s: %s not delivered; the values are in %s",
                self._name,
                counted(len(left), "record"),
                self._file.path,
            )
        elif state == "FINISHED" and not self._outbox.has_refused:
            self._file.path.unlink()

    def _record(self, kind: Kind, values: Any, name: str = "") -> Record:  # noqa: ANN401  (depends on the kind)
        return Record(kind, self._iteration, time.time_ns() // 1_000_000, values, name)

    def _keep(self, record: Record) -> None:
        self._file.append(record.document())
        self._outbox.put(record, 100 * len(record.values))


def require_package(module: str, package: str) -> None:
    """Check that the package of a tracker is installed, without importing it.

    Args:
        module: Name of the module, and of the tracker and the extra.
        package: Name of the package.

    Raises:
        ConfigurationError: It is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise ConfigurationError(
            f"train.trackers: {module} needs the package {package}, which is not installed; "
            f"{installation_command('vision', module)}, or remove {module} from train.trackers"
        )
