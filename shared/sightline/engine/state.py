"""What a training is made of, and how far it is: what the loop and its hooks work on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from sightline.config.train import Train
from sightline.data.formats.coco import CocoDocument
from sightline.data.loading.batches import batches
from sightline.data.loading.dataset import CocoDataset, Sample
from sightline.engine.group import Group
from sightline.models.model_file import ModelCard
from sightline.tasks.base import Task
from sightline.tracking import Tracker

if TYPE_CHECKING:
    from sightline.engine.precision import Precision


@dataclass(slots=True)
class Ranked:
    """A model that was kept because of its metrics.

    Attributes:
        iteration: Iteration of its weights.
        metrics: Metrics on the val split.
        reference: From :func:`sightline.evaluation.parity.reference_predictions`; empty in earlier checkpoints.
    """

    iteration: int
    metrics: dict[str, float]
    reference: str = ""


@dataclass(slots=True)
class TrainingState:
    """The progress of a training.

    Attributes:
        iteration: Number of completed iterations.
        seconds: Time spent on them in all sessions.
        best_iteration: Iteration of the best weights so far; 0 before the first validation.
        best_metrics: Metrics of the best weights on the val split.
        ranking: The best models so far, best first.
        not_finite: Iterations in a row that were left out because the loss was not finite.
        stopped: Why the training ended before its last iteration; empty: it did not.
        weights: Name, path or URI of the weights that the training started from; empty: random.
        weights_sha256: SHA-256 of their file.
        history: One record per logged iteration.
    """

    iteration: int = 0
    seconds: float = 0.0
    best_iteration: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)
    ranking: list[Ranked] = field(default_factory=list)
    not_finite: int = 0
    stopped: str = ""
    weights: str = ""
    weights_sha256: str = ""
    history: list[dict[str, float]] = field(default_factory=list)

    def record(self, values: Mapping[str, float]) -> None:
        """Add values of the current iteration to the history."""
        if self.history and self.history[-1]["iteration"] == self.iteration:
            self.history[-1].update(values)
        else:
            self.history.append({"iteration": self.iteration, **values})


@dataclass(frozen=True, slots=True)
class Validation:
    """The validation data.

    Attributes:
        truth: The val split.
        root: The folder that its file names are relative to.
        max_pixels: Images with more pixels are rejected.
    """

    truth: CocoDocument
    root: Path
    max_pixels: int


@dataclass(slots=True)
class Training:
    """One training: what the loop and its hooks work on.

    Attributes:
        task: The task, for losses and metrics.
        network: The network that is trained.
        evaluated: The network that is validated and saved; another one than ``network`` if weights are averaged.
        dataset: The training data.
        validation: The validation data.
        settings: The section ``train`` of the configuration.
        seed: Seed of the image order and of all random operations in the network.
        device: The device of this process.
        group: The processes of the training.
        optimizer: The optimizer.
        precision: Autocasting and scaling of losses.
        card: The model card of the last validation.
        images: Number of images in a pass, which depends on the sampling.
        files: Folder for models and other output.
        tracker: Records the values of each log line and each validation.
        state: The progress.
        micro_batch: Images that this device computes at once.
        batch: The images of the current iteration in this process.
        losses: Components of the loss of the current iteration, by name.
        gradient_norm: Norm of its gradients before clipping.
        learning_rate: Its learning rate.
        metrics: Metrics of the last validation.
        predictions: Its predictions, one per image of the val split; only in the first process.
    """

    task: Task
    network: nn.Module
    evaluated: nn.Module
    dataset: CocoDataset
    validation: Validation
    settings: Train
    seed: int
    device: torch.device
    group: Group
    optimizer: torch.optim.Optimizer
    precision: Precision
    card: ModelCard
    images: int
    files: Path
    tracker: Tracker = field(default_factory=Tracker)
    state: TrainingState = field(default_factory=TrainingState)
    micro_batch: int = 0
    batch: Sequence[Sample] = ()
    losses: dict[str, float] = field(default_factory=dict)
    gradient_norm: float = 0.0
    learning_rate: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    predictions: Sequence[Any] = ()

    @property
    def iteration(self) -> int:
        """The current iteration, from 1."""
        return self.state.iteration

    @property
    def total(self) -> int:
        """Number of iterations of the whole training."""
        return self.settings.total_iterations(self.images)

    @property
    def loss(self) -> float:
        """The loss of the current iteration: the sum of its components."""
        return sum(self.losses.values())

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics of a validation."""
        return self.task.metric_names(self.card.reading)

    @property
    def epoch(self) -> int:
        """Number of passes over the training images that are complete."""
        return self.state.iteration * self.settings.batch_size // self.images

    @property
    def ends_epoch(self) -> bool:
        """Whether the current iteration completes a pass over the training images."""
        before = (self.state.iteration - 1) * self.settings.batch_size // self.images
        return self.epoch > before

    @property
    def is_last(self) -> bool:
        """Whether nothing follows the current iteration."""
        return self.state.iteration >= self.total or bool(self.state.stopped)

    def due(self, every: int) -> bool:
        """Whether something that happens every ``every`` iterations, and at the end, happens now."""
        return self.is_last or self.state.iteration % every == 0

    def batches(self, workers: int | Literal["auto"]) -> Iterator[list[Sample]]:
        """The batches of this process that follow the current iteration.

        Args:
            workers: Number of processes that prepare them in advance, as in the settings.
        """
        return batches(
            self.dataset,
            batch_size=self.settings.batch_size,
            seed=self.seed,
            first=self.state.iteration + 1,
            last=self.total,
            workers=workers,
            process=self.group.rank,
            processes=self.group.size,
            local_processes=self.group.local_size,
            on_gpu=self.device.type == "cuda",
        )

    def stop(self, reason: str) -> None:
        """End the training after the current iteration; its models are kept.

        Args:
            reason: For the log, as a sentence without a period.
        """
        self.state.stopped = reason

    def log_values(self) -> dict[str, float]:
        """The values of the current iteration for the log: losses, norm of the gradients, learning rate."""
        parts = {f"loss_{name}": value for name, value in self.losses.items()}
        return {
            "loss": self.loss,
            **parts,
            "gradient_norm": self.gradient_norm,
            "learning_rate": self.learning_rate,
        }

    def note(self, values: Mapping[str, float]) -> None:
        """Add values of the current iteration to the history, and report them; NaN and infinity are left out."""
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        self.state.record(values)
        if self.group.is_first:
            self.tracker.log_metrics(self.state.iteration, values)


def iteration_seed(seed: int, iteration: int, position: int = 0) -> int:
    """The random seed of the images from ``position`` of the batch of one iteration."""
    return ((seed << 32) + iteration) ^ ((position & 0xFFF) << 52)
