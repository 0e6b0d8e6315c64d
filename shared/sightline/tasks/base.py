"""What differs between tasks, and nothing else: a table of names, what a task can do, and the way to a predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, Self

from sightline.config.task_declarations import TASK_NAMES, task_declaration
from sightline.data.formats.coco import CocoDocument
from sightline.errors import ConfigurationError, ModelFileError
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

TASKS = NameTable("task", dict.fromkeys(TASK_NAMES, "sightline.tasks.*.task:TASK"))

MAX_PIXELS = 50_000_000
"""Of an image file, where no other limit is given; as ``data.max_pixels`` has it."""


class Prediction(Protocol):
    """What a model says about one image, in whatever form a task has for it.

    Attributes:
        image_id: The COCO id of the image; 0 for one without.
    """

    image_id: int

    def above(self, score_threshold: float) -> Self:
        """What is at least as sure as a threshold, 0 to 1."""
        ...

    def of_classes(self, ids: Mapping[int, int]) -> Self:
        """What it says about some classes, with other category ids.

        Args:
            ids: Category id -> the one that it gets; what is of other classes is left out.
        """
        ...

    def to_json(self) -> dict[str, Any]:
        """JSON values that :meth:`from_json` gives back bit by bit."""
        ...

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The prediction that :meth:`to_json` wrote.

        Raises:
            LookupError, TypeError, ValueError or OverflowError: The values are something else.
        """
        ...


class Predictor(Protocol):
    """A network with everything needed to use it.

    Example::

        predictor = Predictor.load("best.safetensors")
        prediction = predictor.predict("photo.jpg").above(0.5)

    Attributes:
        card: What is known of the network: classes, preprocessing, where it came from.
    """

    card: ModelCard

    @staticmethod
    def load(
        path: str | Path, device: str = "auto", task: str | None = None, classes: Sequence[str] | None = None
    ) -> Predictor:
        """The model in a model file, of whatever task it is; see :func:`load_predictor`."""
        return load_predictor(path, device, task=task, classes=classes)

    @property
    def class_names(self) -> dict[int, str]:
        """COCO category id -> the name of the class."""
        return dict(zip(self.card.category_ids, self.card.classes, strict=True))

    def predict(
        self, image: Image | npt.NDArray[np.uint8] | Path | str, image_id: int = 0, *, max_pixels: int = MAX_PIXELS
    ) -> Any:  # noqa: ANN401  (the task's own kind of prediction)
        """What the network says about one image.

        Args:
            image: The path of an image file, which is turned as its EXIF orientation says; or pixels, which are taken
                as they are: a Pillow image, or uint8 [height, width, 3] RGB or [height, width] grey.
            image_id: The COCO id that the prediction is to carry.
            max_pixels: An image file with more pixels is refused.

        Returns:
            The task's own kind of :class:`Prediction`, in the image's own pixels; of detectors
            :class:`sightline.data.detections.Detections`, the surest first.

        Raises:
            DataError: The file cannot be read, or the array is not an image.
        """
        ...


class Task(Protocol):
    """What the engine and the steps ask of a task.

    Attributes:
        name: As in the configuration.
        short_names: Parts of the loss -> what they are called where there is little room.
    """

    name: str
    short_names: Mapping[str, str] = MappingProxyType({})

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what :meth:`evaluate` gives wherever there is truth."""
        return tuple(metric.name for metric in task_declaration(self.name).validation_metrics)

    def build_network(self, model: Network, num_classes: int) -> nn.Module:
        """The network with random weights; ``num_classes`` without the background."""
        ...

    def load_backbone(self, network: nn.Module, path: Path) -> None:  # noqa: ARG002
        """Put pretrained weights (``.safetensors``) into the backbone of a network.

        Raises:
            ModelFileError: They do not fit.
            ConfigurationError: The network has no backbone.
        """
        raise ConfigurationError(
            f"model.weights: the network of {self.name} has no backbone to put {path} into; leave model.weights empty"
        )

    def losses(self, network: nn.Module, batch: Sequence[Sample], device: torch.device) -> dict[str, torch.Tensor]:
        """The parts of the loss, scalars by name, that sum to what is minimised."""
        ...

    def predictor(self, network: nn.Module, card: ModelCard, device: torch.device) -> Predictor:
        """The network as something that looks at images."""
        ...

    def load(self, path: Path, device: str) -> Predictor:
        """The model in a model file of this task, on a device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            ModelFileError: The file cannot be used, or was made for another task.
            ConfigurationError: The device is not there.
        """
        from sightline.models.device import choose_device

        network, card = load_model(path, task=self.name)
        return self.predictor(network, card, choose_device(device))

    def evaluate(self, truth: CocoDocument, predictions: Sequence[Any]) -> dict[str, float]:
        """The metrics of a validation by name; one that cannot be computed is absent."""
        ...


def load_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ConfigurationError: There is none.
    """
    task: Task = TASKS.load(name, "task")
    return task


def load_predictor(
    path: str | Path, device: str = "auto", *, task: str | None = None, classes: Sequence[str] | None = None
) -> Predictor:
    """The model in a model file, ready to predict; needs this file and nothing else.

    Args:
        path: The file.
        device: ``auto``, ``cpu`` or ``cuda``.
        task: The task that it must be for; None: any.
        classes: The classes that it must know, in their order; None: any.

    Raises:
        ModelFileError: The file cannot be used, or was made for another task or other classes.
        ConfigurationError: The device is not there.
    """
    path = Path(path)
    return load_task(checked_card(path, task=task, classes=classes).task).load(path, device)


def load_model(
    path: Path, *, task: str | None = None, classes: Sequence[str] | None = None
) -> tuple[nn.Module, ModelCard]:
    """The network in a model file, on the CPU and in evaluation, with its card; arguments as :func:`load_predictor`.

    Raises:
        ModelFileError: The file cannot be used, or was made for another task or other classes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from sightline.models.model_file import shortened

    card = checked_card(path, task=task, classes=classes)
    try:
        network = load_task(card.task).build_network(card.architecture, len(card.classes))
        network.load_state_dict(load_file(path))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelFileError(f"{path}: the weights do not fit the description ({shortened(error)})") from error
    return network.eval(), card


def checked_card(path: Path, *, task: str | None = None, classes: Sequence[str] | None = None) -> ModelCard:
    """What a model file says about itself, if it is for this task and these classes; None: for any.

    Raises:
        ModelFileError: The file cannot be used, was made for another task or other classes, or for a task that this
            version of Sightline does not have.
    """
    from sightline.models.model_file import read_card

    card = read_card(path)
    if task is not None and task != card.task:
        raise ModelFileError(f"{path}: made for the task {card.task}, but {task} is asked for")
    if card.task not in TASKS:
        raise ModelFileError(
            f"{path}: made for another task than this version of Sightline has: "
            f"{unknown_name(TASKS.noun, card.task, tuple(TASKS))}"
        )
    if classes is not None and tuple(classes) != card.classes:
        raise ModelFileError(
            f"{path}: made for the classes {', '.join(card.classes)}, but {', '.join(classes)} are asked for; "
            "the names and their order must be the same"
        )
    return card
