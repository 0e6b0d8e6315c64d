"""The training that is killed; imported once, with torch, in the server that forks it."""

from __future__ import annotations

import signal
from pathlib import Path

import timm
import torch

from sightline.config.hooks import Hooks
from sightline.engine.checkpoints import BucketFolder
from sightline.runs.signals import ending_on_signals
from sightline.storage import open_storage
from tests.engine.training import run
from tests.squares import TINY_TRAIN

SETTINGS = TINY_TRAIN.model_copy(
    update={
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
    }
)
PREFIX = "results/train/squares/key/checkpoint"

assert timm.__version__  # for the warm server
signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def train(folder: str, bucket: str, workers: int) -> None:
    """Train below a folder, or go on; without the temporary files of a process that was killed, as the step does."""
    torch.set_num_threads(1)
    for unfinished in Path(folder).rglob(".*"):
        unfinished.unlink()
    copy = BucketFolder(open_storage(bucket), PREFIX)
    with ending_on_signals():
        run(Path(folder), SETTINGS.model_copy(update={"workers": workers}), copy=copy)
