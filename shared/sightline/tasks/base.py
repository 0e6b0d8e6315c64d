"""The interface of tasks: the table of their names, the protocols, and loading of predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, Self

from sightline.config.task_declarations import TASK_NAMES, task_declaration
from sightline.data.formats.coco import CocoDocument
from sightline.errors import ModelFileError
from sightline.names import NameTable, unknown_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from PIL.Image import Image
    from torch import nn

    from sightline.config.network import Network
    from sightline.data.loading.dataset import Sample
    from sightline.models.model_file import ModelCard
    from sightline.models.weights.loading import ClassRows

TASKS = NameTable("task", dict.fromkeys(TASK_NAMES, "sightline.tasks.*.task:TASK"))

MAX_PIXELS = 50_000_000
"""Default limit for image files, equal to the default of ``data.max_pixels``."""


class Prediction(Protocol):
    """The prediction of a model for one image, in a form specific to the task.

    Attributes:
        image_id: COCO id of the image; 0 if it has none.
    """

    image_id: int

    def above(self, score_threshold: float | Mapping[int, float]) -> Self:
        """The parts of the prediction with a score of at least the threshold.

        Args:
            score_threshold: 0 to 1; or, for a task whose predictions count from a score on, the threshold of each
                category id.
        """
        ...

    def of_classes(self, ids: Mapping[int, int]) -> Self:
        """The prediction restricted to some classes, with new category ids.

        Args:
            ids: Old category id -> new category id; other classes are left out.
        """
        ...

    def to_json(self) -> dict[str, Any]:
        """The prediction as JSON values; :meth:`from_json` restores it exactly."""
        ...

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore a prediction from the values of :meth:`to_json`.

        Raises:
            LookupError, TypeError, ValueError or OverflowError: The values are invalid.
        """
        ...


class Predictor(Protocol):
    """A network with everything needed to use it.

    Example::

        predictor = Predictor.load("best.safetensors")
        prediction = predictor.predict("photo.jpg").above(0.5)

    Attributes:
        card: Description of the network: classes, preprocessing, origin.
        batch_size: Number of images for :meth:`predict_batch` that suits the device.
    """

    card: ModelCard
    batch_size: int = 1

    @staticmethod
    def load(
        path: str | Path, device: str = "auto", task: str | None = None, classes: Sequence[str] | None = None
    ) -> Predictor:
        """Load a model file of any task; see :func:`load_predictor`."""
        return load_predictor(path, device, task=task, classes=classes)

    @property
    def class_names(self) -> dict[int, str]:
        """COCO category id -> class name."""
        return dict(zip(self.card.category_ids, self.card.classes, strict=True))

    def for_split(self, document: CocoDocument) -> Predictor:  # noqa: ARG002
        """The predictor for the images of a split; it may use what the split gives, such as boxes, by image id.

        Args:
            document: The split.

        Raises:
            DataError: The model cannot be used on this split.
        """
        return self

    def for_export(self) -> Predictor:
        """The predictor that computes what an exported model does, from the image alone."""
        return self

    def predict(
        self, image: Image | npt.NDArray[np.uint8] | Path | str, image_id: int = 0, *, max_pixels: int = MAX_PIXELS
    ) -> Any:  # noqa: ANN401  (the prediction type of the task)
        """Predict on one image.

        Args:
            image: The path of an image file, whose EXIF orientation is applied; or pixels, used as they are: a Pillow
                image, or uint8 [height, width, 3] RGB or [height, width] gray.
            image_id: COCO id to store in the prediction.
            max_pixels: Image files with more pixels are rejected.

        Returns:
            The task's type of :class:`Prediction`, in pixels of the image; for detectors
            :class:`sightline.data.detections.Detections`, sorted by descending score.

        Raises:
            DataError: The file cannot be read, or the array is not an image.
        """
        ...

    def predict_batch(self, images: Sequence[Image], image_ids: Sequence[int]) -> list[Any]:
        """Predict on several images; unless a task overrides this, on one after another.

        The prediction for an image does not depend on the others, except for rounding.

        Args:
            images: RGB, of any sizes.
            image_ids: COCO ids to store in the predictions.

        Returns:
            The predictions, in the order of the images.
        """
        return [self.predict(image, image_id) for image, image_id in zip(images, image_ids, strict=True)]


class Task(Protocol):
    """The interface of a task for the engine and the steps.

    Attributes:
        name: Name in the configuration.
        short_names: Name of a loss component -> a short name for log lines.
        class_rows: The tensors of the network that have rows for each class, by name.  With weights of other classes,
            the rows of classes with the same name are kept.
    """

    name: str
    short_names: Mapping[str, str] = MappingProxyType({})
    class_rows: Mapping[str, ClassRows] = MappingProxyType({})

    def metric_names(self, reading: str = "none") -> tuple[str, ...]:
        """Names of the metrics that :meth:`evaluate` computes if there is truth."""
        return task_declaration(self.name).validated(reading)

    def fitted(self, model: Network, truth: CocoDocument) -> Network:  # noqa: ARG002
        """The settings of the network with those that are derived from the train split filled in."""
        return model

    def build_network(self, model: Network, num_classes: int) -> nn.Module:
        """Build the network with random weights; ``num_classes`` does not count the background."""
        ...

    def losses(self, network: nn.Module, batch: Sequence[Sample], device: torch.device) -> dict[str, torch.Tensor]:
        """The components of the loss as scalars by name; their sum is minimized."""
        ...

    def initial_losses(self, model: Network, num_classes: int) -> dict[str, float]:  # noqa: ARG002
        """Components of the loss of a network that knows nothing, by name; only those that theory gives.

        Args:
            model: The settings of the network, from :meth:`fitted`.
            num_classes: Number of classes, without the background.
        """
        return {}

    def predictor(self, network: nn.Module, card: ModelCard, device: torch.device) -> Predictor:
        """A predictor that uses the network."""
        ...

    def load(self, path: Path, device: str) -> Predictor:
        """Load a model file of this task on a device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            ModelFileError: The file cannot be used, or is of another task.
            ConfigurationError: The device is not available.
        """
        from sightline.models.device import choose_device

        network, card = load_model(path, task=self.name)
        return self.predictor(network, card, choose_device(device))

    def evaluate(self, truth: CocoDocument, predictions: Sequence[Any], reading: str = "none") -> dict[str, float]:
        """The metrics of a validation by name; metrics that cannot be computed are absent.

        Args:
            truth: The val split.
            predictions: One per image, with all scores.
            reading: The ``reading`` of the configuration; its metric is computed too.
        """
        ...

    def thresholds(self, truth: CocoDocument, predictions: Sequence[Any]) -> dict[str, float]:  # noqa: ARG002
        """The operating thresholds for the model file, by class; arguments as for :meth:`evaluate`.

        A class without one applies from a score on that the user of the model chooses.
        """
        return {}


def load_task(name: str) -> Task:
    """The task with this name.

    Raises:
        ConfigurationError: There is no such task.
    """
    task: Task = TASKS.load(name, "task")
    return task


def load_predictor(
    path: str | Path, device: str = "auto", *, task: str | None = None, classes: Sequence[str] | None = None
) -> Predictor:
    """Load a model file, ready to predict; no other file is needed.

    Args:
        path: The model file.
        device: ``auto``, ``cpu`` or ``cuda``.
        task: Required task; None: any.
        classes: Required classes, in their order; None: any.

    Raises:
        ModelFileError: The file cannot be used, or has another task or other classes.
        ConfigurationError: The device is not available.
    """
    path = Path(path)
    return load_task(checked_card(path, task=task, classes=classes).task).load(path, device)


def load_model(
    path: Path, *, task: str | None = None, classes: Sequence[str] | None = None
) -> tuple[nn.Module, ModelCard]:
    """The network of a model file, on the CPU in evaluation mode, and its card; arguments: :func:`load_predictor`.

    Raises:
        ModelFileError: The file cannot be used, or has another task or other classes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from sightline.models.model_file import shortened

    card = checked_card(path, task=task, classes=classes)
    try:
        network = load_task(card.task).build_network(card.architecture, len(card.classes))
        network.load_state_dict(load_file(path))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelFileError(f"{path}: the weights do not match the model card ({shortened(error)})") from error
    return network.eval(), card


def checked_card(path: Path, *, task: str | None = None, classes: Sequence[str] | None = None) -> ModelCard:
    """The card of a model file, checked for this task and these classes; None: any.

    Raises:
        ModelFileError: The file cannot be used, has another task or other classes, or has a task that this version of
            Sightline does not have.
    """
    from sightline.models.model_file import read_card

    card = read_card(path)
    if task is not None and task != card.task:
        raise ModelFileError(f"{path}: the model is for the task {card.task}; expected {task}")
    if card.task not in TASKS:
        raise ModelFileError(
            f"{path}: the model is for a task that this version of Sightline does not have: "
            f"{unknown_name(TASKS.noun, card.task, tuple(TASKS))}"
        )
    if classes is not None and tuple(classes) != card.classes:
        raise ModelFileError(
            f"{path}: the model has the classes {', '.join(card.classes)}; expected {', '.join(classes)}, in this order"
        )
    return card
