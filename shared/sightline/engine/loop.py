"""The training loop."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from sightline.config.decode import is_for_gpu, small_recipe
from sightline.config.train import Train
from sightline.data.formats.coco import CocoDocument
from sightline.data.loading.batches import batches
from sightline.data.loading.dataset import CocoDataset, Sample, read_listed_image
from sightline.engine.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from sightline.engine.optimizer import build_optimizer, learning_rate_at, set_learning_rate
from sightline.engine.pace import Pace, log_device
from sightline.errors import ConfigurationError, StepError
from sightline.logs import Progress
from sightline.metrics.selection import metrics_line
from sightline.models.model_file import ModelCard, save_model
from sightline.tasks.base import Task

_log = logging.getLogger(__name__)

Report = Callable[[int, Mapping[str, float]], None]
"""A callback that takes an iteration and values by name."""


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
    """Train for ``settings.iterations``, resuming from ``checkpoint`` if it exists.

    Writes ``best.safetensors`` and ``last.safetensors`` to ``models``.  A process that is killed at any time and
    restarted produces the same weights as an uninterrupted one.

    Args:
        task: The task, for losses and metrics.
        network: The network with its initial weights.
        dataset: The training data.
        validation: The validation data.
        settings: The section ``train`` of the configuration.
        seed: Seed of the image order and of all random operations in the network.
        device: The device to train on.
        card: The model card, without iteration and metrics.
        checkpoint: Path of the checkpoint file.
        models: Folder for the model files.
        report: Called with the values of each log line and each validation.

    Raises:
        StepError: The loss is not finite, or the checkpoint cannot be used.
        ConfigurationError: ``train.best_metric`` is not among the metrics.
    """
    _require_metric(settings.best_metric, task.metrics)
    network.to(device).train()
    optimizer = build_optimizer(network, settings.weight_decay)
    state = load_checkpoint(checkpoint, network, optimizer)
    if state.iteration:
        _log.info("resuming after iteration %d of %d", state.iteration, settings.iterations)
    log_device(device)
    pace = Pace(
        state.iteration,
        state.seconds,
        settings.iterations,
        device,
        for_gpu=is_for_gpu(card.task, card.architecture),
        small_recipe=small_recipe(card.task),
        short_names=task.short_names,
    )
    plan = batches(
        dataset,
        batch_size=settings.batch_size,
        seed=seed,
        first=state.iteration + 1,
        last=settings.iterations,
        workers=settings.workers,
    )
    for batch in _with_bar(plan, state.iteration, settings.iterations):
        state.iteration += 1
        learning_rate = learning_rate_at(
            state.iteration,
            peak=settings.learning_rate,
            warmup=settings.warmup_iterations,
            total=settings.iterations,
        )
        set_learning_rate(optimizer, learning_rate)
        torch.manual_seed(iteration_seed(seed, state.iteration))

        losses = task.losses(network, batch, device)
        loss = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        if not math.isfinite(loss.item() + gradient.item()):
            raise _not_finite(state.iteration, losses, learning_rate)
        optimizer.step()
        pace.count(len(batch))
        state.seconds = pace.seconds

        last = state.iteration == settings.iterations
        if last or state.iteration % settings.log_every == 0:
            values = {"loss": loss.item(), **{f"loss_{name}": part.item() for name, part in losses.items()}}
            values |= {"gradient_norm": gradient.item(), "learning_rate": learning_rate} | pace.lap()
            state.record(values)
            report(state.iteration, values)
            pace.log(values)
        if last or state.iteration % settings.validate_every == 0:
            card = replace(card, iteration=state.iteration, metrics=validate(task, network, card, device, validation))
            scores = {f"val/{name}": value for name, value in card.metrics.items()}
            state.record(scores)
            report(state.iteration, scores)
            _keep_best(state, card, settings.best_metric, network, models / "best.safetensors")
            _log_validation(state, card, settings.best_metric, task.metrics)
            pace.exclude_pause()
        if last:
            save_model(models / "last.safetensors", network, card)
        if last or state.iteration % settings.checkpoint_every == 0:
            state.seconds = pace.seconds
            save_checkpoint(checkpoint, network, optimizer, state)
    return state


def validate(
    task: Task, network: nn.Module, card: ModelCard, device: torch.device, validation: Validation
) -> dict[str, float]:
    """Compute the metrics of a network on the val split; afterwards the network is back in training mode."""
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
    """The random seed of one iteration."""
    return (seed << 32) + iteration


def _with_bar(plan: Iterable[list[Sample]], done: int, total: int) -> Iterator[list[Sample]]:
    with Progress("train", total=total, unit="iterations", begin=done, lines=False) as progress:
        yield from progress.track(plan)


def _keep_best(state: TrainingState, card: ModelCard, metric: str, network: nn.Module, path: Path) -> None:
    _require_metric(metric, card.metrics)
    better = not state.best_iteration or card.metrics[metric] > state.best_metrics[metric]
    if better:
        state.best_iteration, state.best_metrics = card.iteration, card.metrics
        save_model(path, network, card)


def _log_validation(state: TrainingState, card: ModelCard, metric: str, names: Iterable[str]) -> None:
    best = f" (best {metric} so far)" if state.best_iteration == card.iteration else ""
    _log.info("validation after iteration %d: %s%s", card.iteration, metrics_line(card.metrics, names), best)


def _require_metric(metric: str, known: Collection[str]) -> None:
    if metric not in known:
        computed = f"only {', '.join(known)}; choose one of these, or" if known else "nor any other metric;"
        raise ConfigurationError(
            f"train.best_metric: validation did not compute {metric}, {computed} check that the val split has "
            "annotations"
        )


def _not_finite(iteration: int, losses: Mapping[str, torch.Tensor], learning_rate: float) -> StepError:
    parts = ", ".join(f"{name} {loss.item():g}" for name, loss in losses.items())
    return StepError(
        f"iteration {iteration}: the loss or its gradient is not finite ({parts}; learning rate {learning_rate:g}); "
        "try a smaller train.learning_rate, a longer train.warmup_iterations or a smaller train.clip_norm"
    )
