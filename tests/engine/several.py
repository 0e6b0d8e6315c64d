"""A tiny training in several processes, hooks that watch and disturb it, and a program: ``several.py FOLDER COUNT``."""

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

import torch

from sightline.config.data import Data
from sightline.config.hooks import Hooks
from sightline.config.schema import Config, Database, Storage, Work
from sightline.data.repository.checkout import Checkout
from sightline.engine.hooks.base import Hook
from sightline.engine.job import Job
from sightline.engine.launch import start_training
from sightline.errors import DataError
from sightline.registry.results import RecordResult
from tests.squares import CLASSES, TINY_MODEL, TINY_TRAIN, write_coco

RECORD = RecordResult(
    "shapes", "v1", "shapes_ann_v1", "a" * 40, "shapes_train_v1", "c" * 40, "d" * 32, {}, {}, {}, [], "file:///x", 1.0
)


class Watch(Hook):
    """Gives the network a parameter that no loss depends on, and writes each iteration of each process to a file."""

    def __init__(self, folder):
        self._folder = Path(folder)

    def before_step(self, training):
        training.network.register_parameter("unused", torch.nn.Parameter(torch.zeros(3)))

    def after_step(self, training):
        assert training.network.unused.grad is None
        del training.network.unused  # no checkpoint has it
        images = [sample.image_id for sample in training.batch]
        line = {"iteration": training.iteration, "images": images, "losses": training.losses}
        with (self._folder / f"rank-{training.group.rank}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


class Trouble(Hook):
    """Disturbs one process before one iteration, once in ``folder``."""

    def __init__(self, kind, rank, iteration, folder):
        self._kind, self._rank, self._iteration, self._folder = kind, rank, iteration, Path(folder)

    def before_step(self, training):
        marker = self._folder / "disturbed"
        if training.group.rank != self._rank or training.iteration != self._iteration or marker.exists():
            return
        marker.touch()
        if self._kind == "data":
            raise DataError("image 7 is broken")
        if self._kind == "bug":
            training.batch = [None]
        if self._kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._kind == "slow":
            time.sleep(5)
        if self._kind == "nan":
            with torch.no_grad():
                training.network.rpn.head.cls_logits.bias.fill_(math.nan)


def write_training_set(root):
    """Six images: the second and third without objects, and the class disc only in the first."""
    (root / "training" / "shapes").mkdir(parents=True)
    for split, images, first in (("train", 6, 0), ("val", 1, 50)):
        document = write_coco(root, images, first)
        if split == "train":
            kept = [one for one in document["annotations"] if one["image_id"] not in {2, 3}]
            document["annotations"] = [one for one in kept if one["category_id"] == 1 or one["image_id"] == 1]
        (root / "training" / "shapes" / f"{split}.json").write_text(json.dumps(document))
    return Checkout(root, "shapes_train_v1", "c" * 40)


def make_job(folder, source, trouble=None, **train):
    """A job whose files are in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {"tests.engine.several:Watch": {"folder": str(folder)}}
    if trouble:
        own["tests.engine.several:Trouble"] = {**trouble, "folder": str(folder)}
    settings = TINY_TRAIN.model_copy(update={"frozen_norms": True, "hooks": Hooks.model_validate(own), **train})
    config = Config(
        recipe="shapes",
        data=Data(tag="shapes_ann_v1", repository=str(folder / "data"), classes=CLASSES),
        model=TINY_MODEL,
        train=settings,
        storage=Storage(uri=str(folder / "bucket")),
        database=Database(url=f"sqlite:///{folder / 'sightline.sqlite'}"),
        work=Work(dir=str(folder / "work")),
    )
    job = Job(config, "0.1.0", RECORD, source, folder / "train", copy="checkpoint")
    job.files.mkdir(parents=True, exist_ok=True)
    return job


def run(job, processes):
    """Train; the state after the last iteration."""
    return start_training(job, job.checkpoints(), processes)


def seen(folder, processes):
    """Iteration -> images of the whole batch in the order of the batch, and the losses that the first process saw."""
    ranks = [
        {line["iteration"]: line for line in map(json.loads, (folder / f"rank-{rank}.jsonl").read_text().splitlines())}
        for rank in range(processes)
    ]
    found = {}
    for iteration, first in ranks[0].items():
        shares = [rank[iteration]["images"] for rank in ranks]
        batch = [shares[place % processes][place // processes] for place in range(sum(map(len, shares)))]
        assert all(rank[iteration]["losses"] == first["losses"] for rank in ranks)
        found[iteration] = batch, first["losses"]
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background are told to ignore it
    place, count = Path(sys.argv[1]), int(sys.argv[2])
    slow = {"kind": "slow", "rank": 0, "iteration": 4}  # so that it is interrupted before its end
    data = Checkout(place.parent / "data", "shapes_train_v1", "c" * 40)
    run(make_job(place, data, slow, batch_size=5, micro_batch=1), count)
