"""The trainings that are killed; what they import was imported by the server that forks them, and not by the tests."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.runs.signals import ending_on_signals
from sightline.storage import open_storage

PREFIX = "results/train/squares/key/checkpoint"


def train(folder: str, workers: int) -> None:
    """Train below a folder, or go on; the folder gets the subfolders ``work`` and ``bucket``."""
    from sightline.engine.checkpoints import BucketFolder
    from tests.engine.training import run
    from tests.squares import TINY_TRAIN

    work = Path(folder) / "work"
    _prepare(work)
    copy = BucketFolder(open_storage(f"{folder}/bucket"), PREFIX)
    with ending_on_signals():
        run(work, TINY_TRAIN.model_copy(update=_settings(workers, iterations=12, micro_batch=2)), copy=copy)


def train_in_two_processes(folder: str, workers: int) -> None:
    """The same in two processes; the folder above has the training set, from ``write_training_set``."""
    from sightline.data.repository.checkout import Checkout
    from tests.engine import several

    place = Path(folder)
    _prepare(place / "work")
    source = Checkout(place.parent / "data", "shapes_train_v1", "c" * 40)
    job = replace(
        several.make_job(place, source, **_settings(workers, iterations=24, micro_batch=1)), folder=place / "work"
    )
    job.files.mkdir(parents=True, exist_ok=True)
    with ending_on_signals():
        several.run(job, 2)


def _prepare(work: Path) -> None:
    """Remove the temporary files of a process that was killed, as the step does."""
    import torch

    torch.set_num_threads(1)
    multiprocessing.set_start_method("fork", force=True)  # as for whoever is not a child of a fork server
    for unfinished in work.rglob(".*"):
        unfinished.unlink()


def _settings(workers: int, *, iterations: int, micro_batch: int) -> dict[str, Any]:
    from sightline.config.hooks import Hooks

    return {
        "iterations": iterations,
        "batch_size": 4,
        "micro_batch": micro_batch,
        "precision": "bf16",
        "validate_every": 3,
        "keep_best": 3,
        "checkpoint_every": 4,
        "checkpoint_minutes": 0.05 / 60,  # about every second iteration, in the background of the next
        "log_every": 2,
        "hooks": Hooks(ema={"decay": 0.9}),
        "workers": workers,
    }
