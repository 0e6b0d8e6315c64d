"""Training on a GPU: Mask R-CNN at 800 x 1333 against torchvision's reference recipe on the same images.

Whole iterations, from image files to changed weights, with as many workers on both sides; a machine without a GPU is
told so.  ``make bench-gpu`` runs it; it is not part of ``make bench``.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader

from benchmarks.figures import Figure, show
from benchmarks.training_reference import ReferenceDataset, collate, reference_network, reference_step
from sightline.config.train import Train
from sightline.data.formats.coco import CocoDocument
from sightline.data.loading.dataset import CocoDataset
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.hooks.base import Hook, HookList
from sightline.engine.loop import train
from sightline.engine.pace import Pace
from sightline.engine.state import Validation
from sightline.engine.training import assemble
from sightline.tasks.base import load_task
from sightline.tasks.instance_segmentation.settings import MaskDetector
from tests.squares import CLASSES, make_card

BODIES = {"R50-FPN": "resnet50", "Swin-T": "timm:swin_tiny_patch4_window7_224"}
SPEED, DATA_WAIT = 1.3, 0.05


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        sides: Shorter and longer side of the network's input, pixels.
        batch: Images per iteration.
        iterations: Measured iterations, after as many as ``warm``.
        warm: Iterations before them.
        images: Images on disk.
        polygons: Outlines per image.
    """

    sides: tuple[int, int] = (800, 1333)
    batch: int = 8
    iterations: int = 40
    warm: int = 10
    images: int = 32
    polygons: int = 10


@dataclass(frozen=True)
class Case:
    """What both sides train: the same network on the same images."""

    size: Size
    model: MaskDetector
    document: CocoDocument
    root: Path
    precision: str
    device: torch.device
    workers: int


@dataclass(frozen=True)
class Measured:
    """Images per second, share of the time spent waiting for data, and peak memory of the device in GiB."""

    rate: float
    wait: float
    peak: float


def measure() -> list[Figure]:
    """The figures of this benchmark; one that says why, without a GPU."""
    if not torch.cuda.is_available():
        return [Figure("training on a GPU", "skipped: this machine has no CUDA device")]
    return compare(Size(), BODIES, torch.device("cuda"), workers=min(8, os.cpu_count() or 1))


def compare(size: Size, bodies: dict[str, str], device: torch.device, workers: int) -> list[Figure]:
    """Each body in both precisions, ours and the reference."""
    figures = []
    with tempfile.TemporaryDirectory() as name:
        document = photographs(Path(name), size)
        for label, backbone in bodies.items():
            model = MaskDetector(backbone=backbone, image_size=size.sides[1])
            for precision in ("bf16", "fp32"):
                case = Case(size, model, document, Path(name), precision, device, workers)
                ours, peer = our_training(case), reference(case)
                ratio = ours.rate / peer.rate
                figures.append(
                    Figure(
                        f"Mask R-CNN {label}, {size.sides[0]} x {size.sides[1]}, {precision}, batch {size.batch}, "
                        f"{workers} workers: data wait {ours.wait:.1%}, peak {ours.peak:.1f} GiB",
                        f"{ours.rate:.1f} images/s",
                        f"reference {peer.rate:.1f} images/s, data wait {peer.wait:.1%}, peak {peer.peak:.1f} GiB",
                        ratio,
                        f">= {SPEED} x, data wait < {DATA_WAIT:.0%}",
                        ratio >= SPEED and ours.wait < DATA_WAIT,
                    )
                )
    return figures


def photographs(folder: Path, size: Size) -> CocoDocument:
    """Noisy JPEG files of the network's input size, with polygons of 20 corners."""
    rng = np.random.default_rng(0)
    shorter, longer = size.sides
    document: dict[str, Any] = {"images": [], "annotations": []}
    document["categories"] = [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
    for number in range(1, size.images + 1):
        smooth = Image.fromarray(rng.integers(0, 255, (shorter // 16, longer // 16, 3), dtype=np.uint8))
        image = smooth.resize((longer, shorter), Image.Resampling.BICUBIC)
        for _ in range(size.polygons):
            radius = rng.uniform(shorter / 16, shorter / 6)
            center = rng.uniform(radius, (longer - radius, shorter - radius))
            angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
            corners = center + radius * rng.uniform(0.7, 1.0, (20, 1)) * np.stack((np.cos(angles), np.sin(angles)), 1)
            kind = int(rng.integers(len(CLASSES)))
            ImageDraw.Draw(image).polygon(
                [tuple(corner) for corner in corners], fill=((220, 30, 30), (30, 30, 220))[kind]
            )
            low, high = corners.min(0), corners.max(0)
            entry = {"id": len(document["annotations"]) + 1, "image_id": number, "category_id": kind + 1, "iscrowd": 0}
            entry |= {"bbox": [*low.tolist(), *(high - low).tolist()], "area": float(np.prod(high - low))}
            document["annotations"].append(entry | {"segmentation": [corners.ravel().tolist()]})
        image.save(folder / f"{number}.jpg", quality=90)
        listed = {"id": number, "file_name": f"{number}.jpg", "width": longer, "height": shorter}
        document["images"].append(listed | {"sha256": "", "group": ""})
    return document  # type: ignore[return-value]


class Clock(Hook):
    """Measures the iterations after the first ones."""

    def __init__(self, size: Size, device: torch.device) -> None:
        self.size, self.device, self.began, self.ended = size, device, 0.0, 0.0

    def after_step(self, training: Any) -> None:
        if training.iteration == self.size.warm:
            self.began = synchronized(self.device)
        if training.iteration == self.size.warm + self.size.iterations:
            self.ended = synchronized(self.device)


def synchronized(device: torch.device) -> float:
    """The time when the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def our_training(case: Case) -> Measured:
    """Our loop on our data path, with flips; one validation image at the end, outside of the measured time."""
    size, model, document, root, device = case.size, case.model, case.document, case.root, case.device
    total = size.warm + size.iterations
    settings = Train(
        iterations=total,
        batch_size=size.batch,
        optimizer="sgd",
        learning_rate=1e-4,
        warmup_iterations=1,
        precision=case.precision,
        workers=case.workers,
        device=device.type,
        log_every=size.iterations,
        validate_every=total,
        checkpoint_every=10 * total,
        augmentation=[{"name": "flip", "probability": 0.5}],
    )
    torch.manual_seed(0)
    task = load_task("instance_segmentation")
    dataset = CocoDataset(
        document,
        root,
        image_size=model.image_size,
        max_pixels=10**8,
        augmentation=settings.augmentation,
        seed=0,
        loading=settings,
    )
    one = {**document, "images": document["images"][:1]}
    one["annotations"] = [entry for entry in document["annotations"] if entry["image_id"] == 1]
    with tempfile.TemporaryDirectory() as name:
        training = assemble(
            task,
            task.build_network(model, len(CLASSES)),
            dataset,
            Validation(one, root, 10**8),
            settings,
            seed=0,
            device=device,
            card=make_card(model, iteration=0, metrics={}),
            files=Path(name),
        )
        clock, pace = Clock(size, device), Pace(total, device, for_gpu=False)
        begin_memory(device)
        train(training, HookList({"clock": clock}), Checkpoints(Path(name) / "c", minutes=1e6), pace)
        waits = [record["data_wait"] for record in training.state.history if "data_wait" in record]
        return Measured(size.iterations * size.batch / (clock.ended - clock.began), waits[-1], peak_memory(device))


def reference(case: Case) -> Measured:
    """The reference's loop on the reference's data path."""
    size, device = case.size, case.device
    torch.manual_seed(0)
    network = reference_network(case.model, len(CLASSES), size.sides).to(device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 0.001, total_iters=1000)
    loader = DataLoader(
        ReferenceDataset(case.document, case.root, (size.warm + size.iterations) * size.batch),
        size.batch,
        shuffle=True,
        num_workers=case.workers,
        collate_fn=collate,
    )
    begin_memory(device)
    began = waited = 0.0
    batches: Iterator[Any] = iter(loader)
    for iteration in range(1, size.warm + size.iterations + 1):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        reference_step(network, optimizer, scheduler, batch, device, bf16=case.precision == "bf16")
        if iteration == size.warm:
            began, waited = synchronized(device), 0.0
    seconds = synchronized(device) - began
    return Measured(size.iterations * size.batch / seconds, waited / seconds, peak_memory(device))


def begin_memory(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


if __name__ == "__main__":
    show("Training on a GPU", measure())
