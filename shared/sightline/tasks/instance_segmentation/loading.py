"""From a model file to Mask R-CNN with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sightline.errors import ModelFileError
from sightline.models.model_file import ModelCard, read_card, shortened
from sightline.tasks.instance_segmentation.network import build_detector


def load_model(
    path: Path, *, task: str | None = None, classes: Sequence[str] | None = None
) -> tuple[nn.Module, ModelCard]:
    """The network in a model file, on the CPU and in evaluation; needs this file and nothing else.

    Args:
        path: The file.
        task: The task that it must be for; None: any.
        classes: The classes that it must know, in their order; None: any.

    Raises:
        ModelFileError: The file cannot be used, or was made for another task or other classes.
    """
    card = read_card(path)
    if task is not None and task != card.task:
        raise ModelFileError(f"{path}: made for the task {card.task}, but {task} is asked for")
    if classes is not None and tuple(classes) != card.classes:
        raise ModelFileError(
            f"{path}: made for the classes {', '.join(card.classes)}, but {', '.join(classes)} are asked for; "
            "the names and their order must be the same"
        )
    try:
        network = build_detector(card.architecture, len(card.classes))
        network.load_state_dict(load_file(path))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelFileError(f"{path}: the weights do not fit the description ({shortened(error)})") from error
    return network.eval(), card
