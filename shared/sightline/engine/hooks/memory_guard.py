"""Skipping iterations, or stopping, when memory runs short."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import psutil
import torch

from sightline.config.hooks import MemoryGuard
from sightline.engine.hooks.base import Hook
from sightline.errors import StepError

if TYPE_CHECKING:
    from sightline.engine.state import Training

_log = logging.getLogger(__name__)


class MemoryGuardHook(Hook):
    """Compares the memory in use with limits before each iteration.

    Args:
        settings: The section ``train.hooks.memory_guard``.
    """

    def __init__(self, settings: MemoryGuard) -> None:
        self._settings = settings
        self._skipped = 0

    def before_step(self, training: Training) -> bool:
        """Whether the memory in use is below the limits."""
        excess = self._excess(training.device)
        if not excess:
            self._skipped = 0
            return True
        self._skipped += 1
        if self._settings.action == "stop" or self._skipped > self._settings.max_skips:
            raise StepError(
                f"iteration {training.iteration}: {excess}; set a smaller train.micro_batch or train.workers, or "
                "raise the limit in train.hooks.memory_guard; run again to resume from the last checkpoint"
            )
        _log.warning("skipping iteration %d: %s", training.state.iteration, excess)
        if training.device.type == "cuda":
            torch.cuda.empty_cache()
        return False

    def _excess(self, device: torch.device) -> str:
        if self._settings.ram_gb:
            used = ram_gb()
            if used > self._settings.ram_gb:
                return f"{used:.1f} GiB of RAM are in use with the workers, above the limit {self._settings.ram_gb:g}"
        if self._settings.gpu_gb and device.type == "cuda":
            used = torch.cuda.memory_reserved(device) / 2**30
            if used > self._settings.gpu_gb:
                return f"{used:.1f} GiB of GPU memory are in use, above the limit {self._settings.gpu_gb:g}"
        return ""


def ram_gb() -> float:
    """Memory of this process and its children in GiB, without counting shared pages twice where the system says so."""
    process = psutil.Process()
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss - getattr(one.memory_info(), "shared", 0)
        except psutil.NoSuchProcess:
            continue
    return (total + getattr(process.memory_info(), "shared", 0)) / 2**30


def make_hook(settings: MemoryGuard) -> MemoryGuardHook | None:
    """The hook; None if it is off."""
    return MemoryGuardHook(settings) if settings.ram_gb or settings.gpu_gb else None
