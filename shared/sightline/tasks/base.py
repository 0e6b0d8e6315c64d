"""What differs between tasks, and nothing else: a table of names, and what a task can do."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from sightline.config.schema import Model
from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.data.loading.dataset import Sample
from sightline.errors import ConfigurationError
from sightline.models.model_file import ModelCard

if TYPE_CHECKING:
    from sightline.tasks.instance_segmentation.predictor import Predictor

TASKS = {"instance_segmentation": "sightline.tasks.instance_segmentation.task:InstanceSegmentation"}
"""Name -> module and class, imported on use."""


class Task(Protocol):
    """What the engine and the steps ask of a task.

    Attributes:
        name: As in the configuration.
        metrics: What :meth:`evaluate` gives wherever there is truth, by name.
    """

    name: str
    metrics: tuple[str, ...]

    def build_network(self, model: Model, num_classes: int) -> nn.Module:
        """The network with random weights; ``num_classes`` without the background."""
        ...

    def load_backbone(self, network: nn.Module, path: Path) -> None:
        """Put pretrained weights (``.safetensors``) into the backbone of a network."""
        ...

    def losses(self, network: nn.Module, batch: Sequence[Sample], device: torch.device) -> dict[str, torch.Tensor]:
        """The parts of the loss, scalars by name, that sum to what is minimised."""
        ...

    def predictor(self, network: nn.Module, card: ModelCard, device: torch.device) -> Predictor:
        """The network as something that looks at images."""
        ...

    def evaluate(self, truth: CocoDocument, detections: Sequence[Detections]) -> dict[str, float]:
        """Metrics by name, 0 to 1; one that cannot be computed is absent."""
        ...


def load_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ConfigurationError: There is none.
    """
    if name not in TASKS:
        raise ConfigurationError(f"task: unknown task {name!r}; known are {', '.join(sorted(TASKS))}")
    module, _, kind = TASKS[name].partition(":")
    task: Task = getattr(importlib.import_module(module), kind)()
    return task
