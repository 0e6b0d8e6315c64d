"""The log output of a training: the device, an estimate of the remaining time, and the losses at intervals."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

import psutil
import torch

from sightline.config.decode import SMALL_RECIPE
from sightline.durations import duration_text
from sightline.plural import counted

ESTIMATE_AFTER_SECONDS = 5.0
"""Time without a log line after which the remaining time is estimated, if a few iterations are complete."""

LOG_COLUMNS = 62
"""Width of a message, so that the line with time and level fits 80 columns."""

FEW_ITERATIONS = 10
PATIENCE_SECONDS = 15.0
"""Time after which it is estimated from fewer iterations; the first iterations are slower than later ones."""

LONG_ON_CPU_SECONDS = 3600.0
"""If a network for GPUs takes longer than this without a GPU, a recipe for CPUs is recommended."""

Item = TypeVar("Item")

_log = logging.getLogger(__name__)


def log_device(device: torch.device) -> None:
    """Log the device of the training."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        _log.info("training on %s, %.0f GB", properties.name, properties.total_memory / 2**30)
    else:
        _log.info("training on the CPU with %s, without a GPU", counted(torch.get_num_threads(), "thread"))


class Pace:
    """Measures the duration of all sessions and the speed of the current one, and logs the progress.

    Args:
        total: Total number of iterations.
        device: The device of the training.
        for_gpu: Whether the network is intended for GPUs.
        small_recipe: The recipe to recommend on a machine without a GPU.
        advice: Fraction of the time spent waiting for data -> what to do about it; empty: nothing.
        short_names: Name of a loss component -> a short name that fits a line of 80 columns.
    """

    def __init__(
        self,
        total: int,
        device: torch.device,
        *,
        for_gpu: bool,
        small_recipe: str = SMALL_RECIPE,
        short_names: Mapping[str, str] = MappingProxyType({}),
        advice: Callable[[float], str] | None = None,
    ) -> None:
        self._total = total
        self._gpu_missing = for_gpu and device.type == "cpu"
        self._small_recipe, self._short_names = small_recipe, short_names
        self._advice, self._laps = advice, 0
        self.begin()

    def begin(self, iteration: int = 0, seconds: float = 0.0) -> None:
        """Begin a session.

        Args:
            iteration: Number of iterations before this session.
            seconds: Duration of earlier sessions in seconds.
        """
        self._begin = self._lap = self._mark = time.monotonic()
        self._seconds_before, self._iteration, self._done = seconds, iteration, 0
        self._computing, self._first, self._images, self._said = 0.0, 0.0, 0, False
        self._waited = 0.0

    def waiting_for(self, plan: Iterable[Item]) -> Iterator[Item]:
        """The items of an iterable; the time to wait for each counts as waiting for data."""
        iterator = iter(plan)
        while True:
            before = time.monotonic()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self._waited += time.monotonic() - before
            yield item

    @property
    def seconds(self) -> float:
        """Duration of all sessions in seconds, including validations."""
        return self._seconds_before + time.monotonic() - self._begin

    @property
    def seconds_left(self) -> float:
        """Estimated remaining seconds at the speed of this session, without its first iteration and validations."""
        return self._seconds_each * (self._total - self._iteration)

    @property
    def _seconds_each(self) -> float:
        if self._done < 2:
            return self._computing
        return (self._computing - self._first) / (self._done - 1)

    def count(self, images: int) -> None:
        """Count a completed iteration; after some time without output, log an estimate of the remaining time."""
        now = time.monotonic()
        self._computing, self._mark = self._computing + now - self._mark, now
        self._images += images
        self._iteration, self._done = self._iteration + 1, self._done + 1
        if self._done == 1:
            self._first = self._computing
        silent = now - self._begin
        enough = silent >= ESTIMATE_AFTER_SECONDS and self._done >= FEW_ITERATIONS
        if not self._said and (enough or silent >= PATIENCE_SECONDS):
            self._log_estimate()

    def exclude_pause(self) -> None:
        """Exclude the time since the last iteration, such as a validation, from the speed."""
        self._mark = self._lap = time.monotonic()
        self._images, self._waited = 0, 0.0

    def lap(self) -> dict[str, float]:
        """Images per second and fraction of the time spent waiting for data since the last call; memory in use."""
        now = time.monotonic()
        seconds = max(now - self._lap, 1e-9)
        values = {"images_per_second": self._images / seconds, "data_wait": min(1.0, self._waited / seconds)}
        self._lap, self._images, self._waited = now, 0, 0.0
        values["memory_gb"] = psutil.Process().memory_info().rss / 2**30
        if torch.cuda.is_available():
            values["gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 2**30
        return values

    def log(self, values: Mapping[str, float]) -> None:
        """Log two or three lines of at most 80 columns, including time and level."""
        _log.info(
            "%d/%d loss %.2f lr %.1e %.1f img/s %s left",
            self._iteration,
            self._total,
            values["loss"],
            values["learning_rate"],
            values["images_per_second"],
            duration_text(self.seconds_left),
        )
        names = [name.removeprefix("loss_") for name in values if name.startswith("loss_")]
        names = names if len(names) > 1 else []  # a single part is the loss itself
        parts = " ".join(f"{self._short_names.get(name, name)} {values[f'loss_{name}']:.2f}" for name in names)
        load = f"wait {100 * values['data_wait']:.0f} % RAM {values['memory_gb']:.1f} GB"
        if "gpu_memory_gb" in values:
            load += f" GPU {values['gpu_memory_gb']:.1f} GB"
        together = f"  {parts}  {load}"
        for line in [together] if len(together) <= LOG_COLUMNS else [f"  {parts}", f"  {load}"]:
            _log.info("%s", line)
        self._advise(values["data_wait"])
        if not self._said:
            self._warn_of_cpu()

    def _advise(self, wait: float) -> None:
        """Say once what the bottleneck is; the first lap includes the start of the workers."""
        self._laps += 1
        text = self._advice(wait) if self._advice and self._laps > 1 else ""
        if text:
            _log.warning("%s", text)
            self._advice = None

    def _log_estimate(self) -> None:
        _log.info(
            "%.1f s per iteration: about %s for the remaining %d",
            self._seconds_each,
            duration_text(self.seconds_left),
            self._total - self._iteration,
        )
        self._warn_of_cpu()

    def _warn_of_cpu(self) -> None:
        self._said = True
        if self._gpu_missing and self.seconds_left > LONG_ON_CPU_SECONDS:
            _log.warning(
                "without a GPU this takes about %s; --recipe %s is for machines without a GPU",
                duration_text(self.seconds_left),
                self._small_recipe,
            )
