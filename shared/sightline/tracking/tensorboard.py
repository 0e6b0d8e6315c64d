"""Training curves, images and precision-recall curves for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from sightline.errors import ConfigurationError
from sightline.extras import installation_command
from sightline.tracking.base import PrecisionRecallCurve, TrackedImage, Tracker
from sightline.tracking.description import Scalar, TrackedTraining
from sightline.url_secrets import redact

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_THRESHOLDS = 101
"""Points of a drawn precision-recall curve; TensorBoard takes at most 127."""


class TensorBoardTracker(Tracker):
    """Writes event files to ``<folder>/tensorboard``.

    Args:
        training: The training.  TensorBoard drops what was logged after its ``resume_iteration``.

    Raises:
        ConfigurationError: TensorBoard is not installed.
    """

    def __init__(self, training: TrackedTraining) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"train.trackers: tensorboard needs the package {error.name}, which is not installed; "
                f"{installation_command('vision', 'tracking')}, or set train.trackers=[text]"
            ) from error
        self._folder, self._resumes = str(training.folder / "tensorboard"), training.resume_iteration > 0
        self._open: type[SummaryWriter] = SummaryWriter
        self._writer: SummaryWriter | None = SummaryWriter(self._folder, purge_step=training.resume_iteration + 1)

    def log_parameters(self, parameters: Mapping[str, Scalar]) -> None:
        """Show the configuration as text, and in the tab HPARAMS next to the metric of the best checkpoint."""
        if self._resumes:
            return
        from torch.utils.tensorboard.summary import hparams

        rows = "".join(f"| {name} | `{value}` |\n" for name, value in parameters.items())
        given = {name: value for name, value in parameters.items() if value is not None}
        summaries = hparams(  # type: ignore[no-untyped-call]
            given, {f"val/{parameters.get('train.best_metric')}": 0.0}
        )

        def write(writer: SummaryWriter) -> None:
            writer.add_text("configuration", f"| field | value |\n| --- | --- |\n{rows}", 0)
            for summary in summaries[:2]:  # the third one would end the session
                writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]

        self._write(write)

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """See :meth:`sightline.tracking.Tracker.log_metrics`."""

        def write(writer: SummaryWriter) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, iteration)

        self._write(write)

    def log_images(self, iteration: int, name: str, images: Sequence[TrackedImage]) -> None:
        """Show each image with a slider over the iterations; its caption is part of its name."""

        def write(writer: SummaryWriter) -> None:
            for index, image in enumerate(images):
                writer.add_image(f"{name}/{image.caption or index}", image.pixels, iteration, dataformats="HWC")

        self._write(write)

    def log_curves(self, iteration: int, name: str, curves: Sequence[PrecisionRecallCurve]) -> None:
        """Show the curves in the tab PR CURVES.

        It takes counts as well, and leaves out points without predictions; the counts here are those of one prediction.
        """
        recall = np.linspace(1.0, 0.0, _THRESHOLDS)  # in the order of rising thresholds
        none = np.zeros(_THRESHOLDS)

        def write(writer: SummaryWriter) -> None:
            for curve in curves:
                precision = np.interp(recall, curve.recall, curve.precision)
                tag = f"{name}/{curve.name}"
                writer.add_pr_curve_raw(
                    tag, precision, 1 - precision, none, 1 - recall, precision, recall, iteration, _THRESHOLDS
                )

        self._write(write)

    def failed(self, error: BaseException) -> None:
        """Show the error as text."""
        self._write(lambda writer: writer.add_text("error", redact(f"{type(error).__name__}: {error}")))

    def close(self) -> None:
        """See :meth:`sightline.tracking.Tracker.close`."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, write: Callable[[SummaryWriter], None]) -> None:
        """Write and flush: the events of a killed process would be missing, although its checkpoint counts them.

        Raises:
            OSError: The disk is full; the next call begins a new file, because the writer of this one has ended.
        """
        if self._writer is None:
            self._writer = self._open(self._folder)
        try:
            write(self._writer)
            self._writer.flush()
        except OSError:
            with suppress(OSError):
                self._writer.close()
            self._writer = None
            raise


TRACKER = TensorBoardTracker
