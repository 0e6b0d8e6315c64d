"""Training curves for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping

from sightline.errors import ConfigurationError
from sightline.extras import installation_command
from sightline.tracking.base import Tracker
from sightline.tracking.description import TrackedTraining


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
        self._writer = SummaryWriter(str(training.folder / "tensorboard"), purge_step=training.resume_iteration + 1)

    def log_metrics(self, iteration: int, values: Mapping[str, float]) -> None:
        """See :meth:`sightline.tracking.Tracker.log_metrics`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        """See :meth:`sightline.tracking.Tracker.close`."""
        self._writer.close()


TRACKER = TensorBoardTracker
