"""The training that is killed; it imports what the server that forks it has imported once, and the tests have not."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from sightline.runs.signals import ending_on_signals
from sightline.storage import open_storage

PREFIX = "results/train/squares/key/checkpoint"


def train(folder: str, bucket: str, workers: int) -> None:
    """Train below a folder, or go on; without the temporary files of a process that was killed, as the step does."""
    import torch

    from sightline.config.hooks import Hooks
    from sightline.engine.checkpoints import BucketFolder
    from tests.engine.training import run
    from tests.squares import TINY_TRAIN

    torch.set_num_threads(1)
    multiprocessing.set_start_method("fork", force=True)  # as for whoever is not a child of a fork server
    for unfinished in Path(folder).rglob(".*"):
        unfinished.unlink()
    copy = BucketFolder(open_storage(bucket), PREFIX)
    changes = {
        "iterations": 12,
        "batch_size": 4,
        "micro_batch": 2,
        "precision": "bf16",
        "validate_every": 3,
        "keep_best": 3,
        "checkpoint_every": 4,
        "checkpoint_minutes": 0.05 / 60,  # about every second iteration, in the background of the next
        "log_every": 2,
        "hooks": Hooks(ema={"decay": 0.9}),
        "workers": workers,
    }
    with ending_on_signals():
        run(Path(folder), TINY_TRAIN.model_copy(update=changes), copy=copy)
