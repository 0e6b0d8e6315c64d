"""Measures how fast and how large a model is: latency, throughput, memory, file size, operations."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from sightline.registry.model_profile import ModelProfile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from sightline.tasks.base import Predictor

PROFILED_IMAGES = 16
"""Images whose predictions are timed one by one."""

LATENCY_SECONDS = 4.0
"""Time after which no further prediction is timed, once there are :data:`_LEAST`."""

BATCH_SIZES = (1, 2, 4, 8, 16)
BATCH_SECONDS = 1.0
"""Time for one batch size; larger ones are not tried if one takes longer, or is slower per image."""

_LEAST = 3
_POLL_SECONDS = 0.005
_GIB, _MB = 2**30, 1e6

_log = logging.getLogger(__name__)


def profile_model(
    predictor: Predictor, path: Path, images: Sequence[Image], image_ids: Sequence[int], device: str
) -> ModelProfile | None:
    """Time a model on decoded images, one at a time and in batches, after a warm-up.

    Args:
        predictor: The model.
        path: Its file.
        images: RGB images of a split.
        image_ids: Their COCO ids.
        device: Name of the device, for the profile.

    Returns:
        None without images.
    """
    if not images:
        return None
    gflops = _gflops(predictor, images[0], image_ids[0])  # the first prediction is the warm-up
    latencies = _latencies(predictor, images, image_ids)
    with _peak_memory() as memory:  # it watches from a thread, which would disturb the latencies
        predictor.predict_batch(images[:1], image_ids[:1])
        batch, rate = _best_batch(predictor, images[0], image_ids[0])
    parameters = sum(int(np.prod(shape)) for shape in _shapes(path))
    return ModelProfile(
        device=device,
        latency_p50_ms=1000 * float(np.quantile(latencies, 0.5)),
        latency_p95_ms=1000 * float(np.quantile(latencies, 0.95)),
        timed=len(latencies),
        best_batch=batch,
        images_per_second=max(rate, 1 / float(np.quantile(latencies, 0.5))),
        memory_gb=memory() / _GIB,
        size_mb=path.stat().st_size / _MB,
        parameters=parameters,
        gflops=gflops,
    )


def _latencies(predictor: Predictor, images: Sequence[Image], image_ids: Sequence[int]) -> list[float]:
    """Seconds of single predictions."""
    seconds: list[float] = []
    began = time.perf_counter()
    for image, image_id in zip(images, image_ids, strict=True):
        seconds.append(_timed(partial(predictor.predict_batch, [image], [image_id])))
        if len(seconds) >= _LEAST and time.perf_counter() - began > LATENCY_SECONDS:
            break
    return seconds


def _best_batch(predictor: Predictor, image: Image, image_id: int) -> tuple[int, float]:
    """The fastest batch size, and its images per second."""
    import torch

    best, best_rate = 1, 0.0
    for size in BATCH_SIZES:
        try:
            seconds = _timed(partial(predictor.predict_batch, [image] * size, [image_id] * size))
        except torch.OutOfMemoryError:
            break
        rate = size / seconds
        if rate > best_rate:
            best, best_rate = size, rate
        if seconds > BATCH_SECONDS or rate < best_rate:
            break
    return best, best_rate


def _timed(work: Callable[[], object]) -> float:
    """Seconds of one call; predictions are copied to the CPU, so a GPU has finished."""
    began = time.perf_counter()
    work()
    return max(time.perf_counter() - began, 1e-9)


def _gflops(predictor: Predictor, image: Image, image_id: int) -> float | None:
    """Billions of operations for one image; None if the network has operations that the counter cannot handle."""
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with FlopCounterMode(display=False) as counter:
            predictor.predict_batch([image], [image_id])
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        _log.debug("operations not counted: %s", error)
        predictor.predict_batch([image], [image_id])
        return None
    return float(counter.get_total_flops()) / 1e9 or None


@contextmanager
def _peak_memory() -> Iterator[Callable[[], int]]:
    """Peak memory in bytes, from here to the end of the block."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        yield torch.cuda.max_memory_allocated
        return
    process, done = psutil.Process(), threading.Event()
    peak = [process.memory_info().rss]

    def watch() -> None:
        while not done.wait(_POLL_SECONDS):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: peak[0]
    finally:
        done.set()
        watcher.join()


def _shapes(path: Path) -> list[tuple[int, ...]]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return [tuple(file.get_slice(name).get_shape()) for name in file.keys()]  # noqa: SIM118  (not a dict)
