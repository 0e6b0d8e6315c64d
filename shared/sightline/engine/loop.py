"""The training loop; it reads from top to bottom."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch
from torch import nn

from sightline.config.schema import Train
from sightline.data.coco import CocoDocument
from sightline.data.dataset import CocoDataset, read_listed_image
from sightline.data.loader import batches
from sightline.engine.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from sightline.engine.optimiser import build_optimiser, learning_rate_at, set_learning_rate
from sightline.errors import ConfigurationError, StepError
from sightline.logs import Progress
from sightline.metrics.selection import metrics_line
from sightline.models.model_file import ModelCard, save_model
from sightline.tasks.base import Task

_log = logging.getLogger(__name__)

Report = Callable[[int, Mapping[str, float]], None]
"""Takes an iteration and values by name."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What a network is validated on.

    Attributes:
        truth: The val split.
        root: The folder that its file names are relative to.
        max_pixels: Images with more pixels are refused.
    """

    truth: CocoDocument
    root: Path
    max_pixels: int


def train(
    task: Task,
    network: nn.Module,
    dataset: CocoDataset,
    validation: Validation,
    settings: Train,
    *,
    seed: int,
    device: torch.device,
    card: ModelCard,
    checkpoint: Path,
    models: Path,
    report: Report,
) -> TrainingState:
    """Train until ``settings.iterations`` are done, going on from ``checkpoint`` where there is one.

    Leaves ``best.safetensors`` and ``last.safetensors`` in ``models``.  A process that is killed at any moment and
    started again gives the same weights as one that was not.

    Args:
        task: Losses and metrics.
        network: With the weights to begin from.
        dataset: What to train on.
        validation: What to validate on.
        settings: How to train.
        seed: Of the order of images and of everything random in the network.
        device: Where to compute.
        card: What model files say, but for the iteration and the metrics.
        checkpoint: The file that holds what is needed to go on.
        models: Folder of the model files.
        report: Called with the values of each log line and each validation.

    Raises:
        StepError: The loss is not finite, or a checkpoint cannot be used.
        ConfigurationError: ``train.best_metric`` is not among the metrics.
    """
    _require_metric(settings.best_metric, task.metrics)
    network.to(device).train()
    optimiser = build_optimiser(network, settings.weight_decay)
    state = load_checkpoint(checkpoint, network, optimiser)
    if state.iteration:
        _log.info("go on after iteration %d of %d", state.iteration, settings.iterations)
    clock = _Clock(state.seconds)
    for batch in batches(
        dataset,
        batch_size=settings.batch_size,
        seed=seed,
        first=state.iteration + 1,
        last=settings.iterations,
        workers=settings.workers,
    ):
        state.iteration += 1
        learning_rate = learning_rate_at(
            state.iteration,
            peak=settings.learning_rate,
            warmup=settings.warmup_iterations,
            total=settings.iterations,
        )
        set_learning_rate(optimiser, learning_rate)
        torch.manual_seed(iteration_seed(seed, state.iteration))

        losses = task.losses(network, batch, device)
        loss = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        if not math.isfinite(loss.item() + gradient.item()):
            raise _not_finite(state.iteration, losses, learning_rate)
        optimiser.step()
        clock.count(len(batch))
        state.seconds = clock.seconds

        last = state.iteration == settings.iterations
        if last or state.iteration % settings.log_every == 0:
            values = {"loss": loss.item(), **{f"loss_{name}": part.item() for name, part in losses.items()}}
            values |= {"gradient_norm": gradient.item(), "learning_rate": learning_rate} | clock.lap()
            state.record(values)
            report(state.iteration, values)
            _log.info("%s", _line(values, state, settings.iterations))
        if last or state.iteration % settings.validate_every == 0:
            card = replace(card, iteration=state.iteration, metrics=validate(task, network, card, device, validation))
            scores = {f"val/{name}": value for name, value in card.metrics.items()}
            state.record(scores)
            report(state.iteration, scores)
            _keep_best(state, card, settings.best_metric, network, models / "best.safetensors")
            clock.lap()
        if last:
            save_model(models / "last.safetensors", network, card)
        if last or state.iteration % settings.checkpoint_every == 0:
            state.seconds = clock.seconds
            save_checkpoint(checkpoint, network, optimiser, state)
    return state


def validate(
    task: Task, network: nn.Module, card: ModelCard, device: torch.device, validation: Validation
) -> dict[str, float]:
    """Metrics of a network in training on the val split; the network is in training again afterwards."""
    predictor = task.predictor(network, card, device)
    images = validation.truth["images"]
    with Progress("validate", total=len(images), unit="images") as progress:
        detections = [
            predictor.predict(read_listed_image(validation.root, image, validation.max_pixels), image["id"])
            for image in progress.track(images)
        ]
    network.train()
    return task.evaluate(validation.truth, detections)


def iteration_seed(seed: int, iteration: int) -> int:
    """The seed of what is random in the network in one iteration."""
    return (seed << 32) + iteration


def _keep_best(state: TrainingState, card: ModelCard, metric: str, network: nn.Module, path: Path) -> None:
    _require_metric(metric, card.metrics)
    better = not state.best_iteration or card.metrics[metric] > state.best_metrics[metric]
    if better:
        state.best_iteration, state.best_metrics = card.iteration, card.metrics
        save_model(path, network, card)
    _log.info(
        "validation after iteration %d: %s%s",
        card.iteration,
        metrics_line(card.metrics),
        f" (best {metric} so far)" if better else "",
    )


def _require_metric(metric: str, known: Collection[str]) -> None:
    if metric not in known:
        raise ConfigurationError(
            f"train.best_metric: validation gives no {metric}, only {', '.join(known) or 'nothing'}; choose one of "
            "these, and see that the val split has annotations"
        )


def _not_finite(iteration: int, losses: Mapping[str, torch.Tensor], learning_rate: float) -> StepError:
    parts = ", ".join(f"{name} {loss.item():g}" for name, loss in losses.items())
    return StepError(
        f"iteration {iteration}: the loss or its gradient is not finite ({parts}; learning rate {learning_rate:g}); "
        "try a smaller train.learning_rate, a longer train.warmup_iterations or a smaller train.clip_norm"
    )


class _Clock:
    """Seconds of all sessions, and images a second since the last log line."""

    def __init__(self, seconds_before: float) -> None:
        self._begin = self._lap = time.monotonic()
        self._before = seconds_before
        self._images = 0

    @property
    def seconds(self) -> float:
        return self._before + time.monotonic() - self._begin

    def count(self, images: int) -> None:
        self._images += images

    def lap(self) -> dict[str, float]:
        now = time.monotonic()
        values = {"images_per_second": self._images / max(now - self._lap, 1e-9)}
        self._lap, self._images = now, 0
        values["memory_gb"] = psutil.Process().memory_info().rss / 2**30
        if torch.cuda.is_available():
            values["gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 2**30
        return values


def _line(values: Mapping[str, float], state: TrainingState, total: int) -> str:
    parts = " ".join(f"{name.removeprefix('loss_')} {value:.3f}" for name, value in values.items() if "loss_" in name)
    left = state.seconds / state.iteration * (total - state.iteration)
    memory = f"{values['memory_gb']:.1f} GB"
    if "gpu_memory_gb" in values:
        memory += f" (GPU {values['gpu_memory_gb']:.1f} GB)"
    return (
        f"iteration {state.iteration}/{total}  loss {values['loss']:.3f} ({parts})  "
        f"lr {values['learning_rate']:.2e}  {values['images_per_second']:.1f} images/s  "
        f"{int(left // 60)}:{int(left % 60):02d} left  {memory}"
    )
