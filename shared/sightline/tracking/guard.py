"""Keeps the failures and the slowness of a tracker away from the training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from sightline.plural import counted
from sightline.tracking.base import PrecisionRecallCurve, TrackedImage, Tracker
from sightline.tracking.description import Scalar
from sightline.tracking.outbox import Outbox

CLOSE_SECONDS = 10.0
"""How long the end of a training waits for a tracker."""

_log = logging.getLogger(__name__)


class Guard(Tracker):
    """Calls a tracker in a thread, one call after the other, and repeats calls that fail for lack of disk or network.

    Args:
        name: Name of the tracker, for log lines.
        tracker: The tracker.  If it is immediate, it is called directly unless a call before it failed.
    """

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name, self._tracker = name, tracker
        self._outbox: Outbox[Callable[[], None]] = Outbox(name, lambda calls: calls[0]())
        self._is_direct, self._is_closed = tracker.immediate, False

    @property
    def shows_pictures(self) -> bool:
        """See :meth:`Tracker.shows_pictures`."""
        return self._tracker.shows_pictures

    def log_parameters(self, parameters: Mapping[str, Scalar]) -> None:
        """See :meth:`Tracker.log_parameters`."""
        self._call(partial(self._tracker.log_parameters, dict(parameters)))

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """See :meth:`Tracker.log_metrics`."""
        self._call(partial(self._tracker.log_metrics, iteration, dict(values)), 100 * len(values))

    def log_images(self, iteration: int, name: str, images: Sequence[TrackedImage]) -> None:
        """See :meth:`Tracker.log_images`."""
        size = sum(image.pixels.nbytes for image in images)
        self._call(partial(self._tracker.log_images, iteration, name, tuple(images)), size)

    def log_curves(self, iteration: int, name: str, curves: Sequence[PrecisionRecallCurve]) -> None:
        """See :meth:`Tracker.log_curves`."""
        size = sum(curve.recall.nbytes + curve.precision.nbytes for curve in curves)
        self._call(partial(self._tracker.log_curves, iteration, name, tuple(curves)), size)

    def log_model(self, path: Path, name: str, metrics: Mapping[str, float]) -> None:
        """See :meth:`Tracker.log_model`."""
        self._call(partial(self._tracker.log_model, path, name, dict(metrics)))

    def failed(self, error: BaseException) -> None:
        """See :meth:`Tracker.failed`."""
        self._call(partial(self._tracker.failed, error))

    def close(self) -> None:
        """Deliver what can be delivered within :data:`CLOSE_SECONDS`, then close the tracker."""
        if self._is_closed:
            return
        self._is_closed = True
        self._call(self._tracker.close)
        lost = len(self._outbox.close(CLOSE_SECONDS)) - 1
        if lost > 0:
            _log.warning("tracker %s: it did not work until the end; %s lost", self._name, counted(lost, "record"))
        elif lost == 0:
            _log.warning("tracker %s: it could not be closed; its last values may be missing", self._name)

    def _call(self, call: Callable[[], None], size: int = 0) -> None:
        if self._is_direct:
            try:
                call()
            except Exception:  # noqa: BLE001  (the outbox repeats the call, which fails again, and reports it)
                self._is_direct = False
            else:
                return
        self._outbox.put(call, size)
