"""The training step, what the loop adds to it, and checkpoints: on the CPU, against torchvision's reference loop.

Both have the same layers, images and batch; the reference gets its bitmaps for nothing, as if workers had made them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from benchmarks.figures import Figure, show
from benchmarks.training_reference import reference_network, reference_step
from sightline.config.decode import decode
from sightline.config.train import Train
from sightline.data.loading.dataset import Sample
from sightline.data.rasterizer import rasterize
from sightline.engine import loop
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.gradients import compute_gradients
from sightline.engine.hooks.base import open_hooks
from sightline.engine.optimizer import set_learning_rate
from sightline.engine.pace import Pace
from sightline.engine.precision import clip_gradients
from sightline.engine.state import Training, Validation
from sightline.engine.training import assemble
from sightline.models.model_file import save_model
from sightline.models.stages import train_mode
from sightline.tasks.base import Task, load_task
from sightline.tasks.instance_segmentation.settings import MaskDetector
from tests.squares import CLASSES, make_card, make_dataset, write_coco

CPU = torch.device("cpu")
BATCH, STEPS, LOOPED = 4, 10, 2000
DRAWN = (80, 60)
"""Width and height of the drawn images, which are enlarged."""


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    model = decode("instance_segmentation_small", ["data.classes=[square,disc]", "data.tag=x_ann_v1"]).model
    assert isinstance(model, MaskDetector)
    with tempfile.TemporaryDirectory() as name:
        step, ratio = steps(model, Path(name) / "steps")
        return [step_figure(model, step, ratio), overhead(Path(name) / "loop", step), *checkpoints(Path(name) / "c")]


def opened(folder: Path, model: MaskDetector, settings: Train, network: nn.Module | None = None) -> Training:
    """A training on drawn images."""
    torch.manual_seed(0)
    task = load_task("instance_segmentation")
    return assemble(
        task,
        network or task.build_network(model, len(CLASSES)),
        make_dataset(folder / "train", images=8, model=model),
        Validation(write_coco(folder / "val", 1, first=90), folder / "val", 10**6),
        settings,
        seed=0,
        device=CPU,
        card=make_card(model, iteration=0, metrics={}),
        files=folder,
    )


def steps(model: MaskDetector, folder: Path) -> tuple[float, float]:
    """Seconds of our step, and those of the reference as a multiple of it: medians of interleaved steps."""
    training = opened(folder, model, Train(batch_size=BATCH, optimizer="sgd", device="cpu", workers=0))
    train_mode(training.network, stages=0, norms=False)
    batch = [training.dataset.sample(number, number) for number in range(BATCH)]
    training.batch = batch

    def ours() -> None:
        set_learning_rate(training.optimizer, 1e-5)
        training.losses = compute_gradients(training)
        training.gradient_norm = clip_gradients(training.network, training.settings.clip_norm).item()
        training.precision.step(training.optimizer)

    shorter, longer = sorted(batch[0].image.shape[:2])
    network = reference_network(model, len(CLASSES), (shorter, longer)).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-5, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 0.001, total_iters=1000)
    given = tuple(zip(*[reference_sample(sample) for sample in batch], strict=True))
    both = interleaved([ours, lambda: reference_step(network, optimizer, scheduler, given, CPU)])
    return both[0], both[1] / both[0]


def reference_sample(sample: Sample) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """A sample as the reference's workers would deliver it."""
    height, width = sample.image.shape[:2]
    masks = np.stack([rasterize(one, height, width) for one in sample.segmentations])
    target = {"boxes": torch.from_numpy(sample.boxes_xyxy), "labels": torch.from_numpy(sample.labels)}
    return torch.from_numpy(sample.image).permute(2, 0, 1).float() / 255, target | {"masks": torch.from_numpy(masks)}


def interleaved(works: Sequence[Callable[[], None]]) -> list[float]:
    """Median seconds of each piece of work, after a warm-up."""
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(STEPS + 2):
        for found, work in zip(seconds, works, strict=True):
            began = time.perf_counter()
            work()
            if turn >= 2:
                found.append(time.perf_counter() - began)
    return [statistics.median(one) for one in seconds]


def step_figure(model: MaskDetector, step: float, ratio: float) -> Figure:
    return Figure(
        f"train step on the CPU, {model.backbone}, {model.image_size} pixels, batch {BATCH}, median of {STEPS}",
        f"{step:.3f} s",
        f"torchvision's reference loop {step * ratio:.3f} s",
        ratio,
        "<= 1.0 x its time",
        ratio >= 1.0,
    )


class OneWeight(Task):
    """A task without work: what remains is the loop."""

    name = "instance_segmentation"

    def losses(self, network: nn.Module, *_: object) -> dict[str, torch.Tensor]:
        weight = next(network.parameters())
        return dict.fromkeys(("classifier", "box_reg", "mask", "objectness", "rpn_box_reg"), weight.square().sum())


def overhead(folder: Path, step: float) -> Figure:
    """What the loop adds to a step, with the default hooks and log lines but without trackers' files."""
    settings = Train(iterations=LOOPED, batch_size=BATCH, device="cpu", workers=0, validate_every=LOOPED)
    training = opened(folder, MaskDetector(backbone="timm:test_resnet"), settings, nn.Linear(1, 1))
    training.task = OneWeight()
    batch = [training.dataset.sample(0, 0)] * BATCH
    with (
        mock.patch.object(Training, "batches", lambda given, workers: iter([batch] * given.total)),  # noqa: ARG005
        mock.patch.object(loop, "validate", lambda given: dict.fromkeys(given.metric_names, 0.0)),
    ):
        began = time.perf_counter()
        loop.train(training, open_hooks(settings.hooks), Checkpoints(folder / "c"), Pace(LOOPED, CPU, for_gpu=False))
        seconds = (time.perf_counter() - began) / LOOPED
    share = seconds / step
    return Figure(
        f"loop, optimizer and default hooks with one weight, {LOOPED} iterations",
        f"{1e3 * seconds:.2f} ms, {share:.2%} of a step",
        target="< 2 % of a step",
        met=share < 0.02,
    )


def checkpoints(folder: Path) -> list[Figure]:
    """The time that saving stops the training for, and that resuming takes, with Mask R-CNN on ResNet-50 and AdamW."""
    model, settings = MaskDetector(), Train(device="cpu", workers=0)
    training = opened(folder, model, settings)
    for parameter in training.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    training.optimizer.step()
    training.state.iteration = 1
    kept = Checkpoints(folder / "checkpoints")
    began = time.perf_counter()
    kept.save(training, {})
    stall = time.perf_counter() - began
    kept.close()
    save_model(folder / "model.safetensors", training.network, training.card)
    began = time.perf_counter()
    training.network.load_state_dict(load_file(folder / "model.safetensors"))
    loading = time.perf_counter() - began
    began = time.perf_counter()
    resumed = Checkpoints(folder / "checkpoints")
    resumed.read_state()
    resumed.restore(training)
    beyond = time.perf_counter() - began - loading
    megabytes = sum(path.stat().st_size for path in (folder / "checkpoints").iterdir()) / 1e6
    share = stall / (60 * settings.checkpoint_minutes)
    return [
        Figure(
            f"stall of a checkpoint of {megabytes:.0f} MB, every {settings.checkpoint_minutes:g} minutes",
            f"{stall:.2f} s, {share:.2%}",
            target="< 1 %",
            met=share < 0.01,
        ),
        Figure(
            f"resume from a checkpoint of {megabytes:.0f} MB, beyond loading the model",
            f"{beyond:.2f} s",
            f"loading the model {loading:.2f} s",
            target="< 5 s",
            met=beyond < 5,
        ),
    ]


if __name__ == "__main__":
    show("Training", measure())
