"""The interface between the training loop and its trackers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from sightline.config.train import TRACKER_NAMES
from sightline.names import NameTable
from sightline.tracking.description import Scalar, TrackedTraining

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRACKERS = NameTable("tracker", dict.fromkeys(TRACKER_NAMES, "sightline.tracking.*:TRACKER"))
"""Makes a tracker from a :class:`TrackedTraining`."""


@dataclass(frozen=True, slots=True)
class TrackedImage:
    """An image to show.

    Attributes:
        pixels: uint8 [H, W, 3], RGB.
        caption: A line of text below it.
    """

    pixels: NDArray[np.uint8]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class PrecisionRecallCurve:
    """The precision of one class at rising recall.

    Attributes:
        name: The class.
        recall: float [R], rising from 0 to 1.
        precision: float [R], from 0 to 1.
    """

    name: str
    recall: NDArray[np.floating]
    precision: NDArray[np.floating]


class Tracker:
    """Records a training.  Subclasses override what they record; the rest is ignored.

    The methods may block and raise any exception: :func:`open_trackers` keeps both away from the training.  They are
    called in order, never two at a time.  A call that raises :class:`OSError` is repeated later.

    Attributes:
        immediate: Whether the methods are so fast that the training calls them directly, not in a thread.
    """

    immediate: ClassVar[bool] = False

    @property
    def shows_pictures(self) -> bool:
        """Whether it records images or curves, which are only drawn in this case."""
        return type(self).log_images is not Tracker.log_images or type(self).log_curves is not Tracker.log_curves

    def log_parameters(self, parameters: Mapping[str, Scalar]) -> None:
        """Record the configuration, once at the start.

        Args:
            parameters: Value by dotted name, such as ``train.batch_size``.
        """

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """Add one point to each named curve.

        Args:
            iteration: Number of completed iterations, from 1.
            values: Finite numbers by name, such as ``loss`` or ``val/mask_AP``.
        """

    def log_images(self, iteration: int, name: str, images: Sequence[TrackedImage]) -> None:
        """Show images, such as predictions on the val split.

        Args:
            iteration: Number of completed iterations.
            name: Name of the series, such as ``val/predictions``.
            images: The images; the caller does not change them afterwards.
        """

    def log_curves(self, iteration: int, name: str, curves: Sequence[PrecisionRecallCurve]) -> None:
        """Show precision-recall curves, one per class.

        Args:
            iteration: Number of completed iterations.
            name: Name of the series, such as ``val/mask``.
            curves: The curves.
        """

    def log_model(self, path: Path, name: str, metrics: Mapping[str, float]) -> None:
        """Record a model file.  A later file with the same name replaces it.

        Args:
            path: The ``.safetensors`` file.
            name: Its role, such as ``best`` or ``last``.
            metrics: Its metrics on the val split.
        """

    def failed(self, error: BaseException) -> None:
        """Record that the training failed or was interrupted; :meth:`close` is called afterwards."""

    def close(self) -> None:
        """Flush and close the files.  May be called twice."""


class TrackerGroup(Tracker):
    """A tracker that forwards to several trackers.

    Args:
        trackers: The trackers.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    @property
    def shows_pictures(self) -> bool:
        """Whether one of them does."""
        return any(tracker.shows_pictures for tracker in self._trackers)

    def log_parameters(self, parameters: Mapping[str, Scalar]) -> None:
        """See :meth:`Tracker.log_parameters`."""
        for tracker in self._trackers:
            tracker.log_parameters(parameters)

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """See :meth:`Tracker.log_metrics`.

        Raises:
            ValueError: A value is not finite.
        """
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        if bad:
            raise ValueError(f"metrics at iteration {iteration} must be finite numbers, got {bad}")
        for tracker in self._trackers:
            tracker.log_metrics(iteration, values)

    def log_images(self, iteration: int, name: str, images: Sequence[TrackedImage]) -> None:
        """See :meth:`Tracker.log_images`."""
        for tracker in self._trackers:
            tracker.log_images(iteration, name, images)

    def log_curves(self, iteration: int, name: str, curves: Sequence[PrecisionRecallCurve]) -> None:
        """See :meth:`Tracker.log_curves`."""
        for tracker in self._trackers:
            tracker.log_curves(iteration, name, curves)

    def log_model(self, path: Path, name: str, metrics: Mapping[str, float]) -> None:
        """See :meth:`Tracker.log_model`."""
        for tracker in self._trackers:
            tracker.log_model(path, name, metrics)

    def failed(self, error: BaseException) -> None:
        """See :meth:`Tracker.failed`."""
        for tracker in self._trackers:
            tracker.failed(error)

    def close(self) -> None:
        """See :meth:`Tracker.close`."""
        for tracker in self._trackers:
            tracker.close()


def open_trackers(names: Sequence[str], training: TrackedTraining) -> Tracker:
    """Open the trackers with these names as one.  Of several processes of a training, only the first one does.

    Args:
        names: Names in :data:`TRACKERS`; may be empty.
        training: The training to record; its folder is created if it does not exist.

    Raises:
        ConfigurationError: A name is unknown, or a required package is not installed.
    """
    from sightline.tracking.guard import Guard

    makers: dict[str, Callable[[TrackedTraining], Tracker]] = {
        name: TRACKERS.load(name, "train.trackers") for name in names
    }
    training.folder.mkdir(parents=True, exist_ok=True)
    return TrackerGroup([Guard(name, make(training)) for name, make in makers.items()])
