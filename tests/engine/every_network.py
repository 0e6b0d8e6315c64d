"""A short training of each network with all features of the engine, and a program for one of several processes.

``python -m tests.engine.every_network FOLDER PLACE...`` trains the networks at these places of the list one after
another; the variables of torchrun say which process it is.
"""

import json
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sightline.config.hooks import Hooks
from sightline.config.schema import Config, Database, Storage, Work
from sightline.config.task_declarations import task_declaration
from sightline.config.train import Train
from sightline.data.repository.checkout import Checkout
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.group import joined_group
from sightline.engine.hooks.base import Hook
from sightline.engine.training import train_network
from sightline.errors import StepError
from tests.engine.several import RECORD
from tests.every_network import NETWORKS, publish, shrink_rfdetr

DECAY = 0.8
ITERATIONS = 4
INTERRUPTED_AT = 4
"""The checkpoint before it is that of iteration 2."""


class Watch(Hook):
    """Writes what it sees beside the files of the training, and keeps an average of the weights in double precision.

    It ends a training once if there is a file ``interrupt``.
    """

    def __init__(self):
        self._steps, self._average = 0, {}

    def _note(self, training, moment, **more):
        line = {"moment": moment, "iteration": training.iteration, **more}
        with (training.files.parent / f"moments-{training.group.rank}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def before_training(self, training):
        self._note(training, "before_training")
        if not training.iteration:
            save(training.network.state_dict(), training.files.parent / f"initial-{training.group.rank}.safetensors")

    def before_step(self, training):
        self._note(training, "before_step", images=[sample.image_id for sample in training.batch])
        if training.iteration == 1:
            for number, sample in enumerate(training.batch):
                path = training.files.parent / f"batch-{training.group.rank}-{number}.png"
                Image.fromarray(sample.image).save(path)

    def before_optimizer_step(self, training):
        self._note(training, "before_optimizer_step", losses=training.losses)
        request = training.files.parent / "interrupt"
        if training.iteration == INTERRUPTED_AT and request.exists():
            request.unlink()
            raise StepError("interrupted")

    def after_optimizer_step(self, training):
        self._note(training, "after_optimizer_step")
        self._steps += 1
        for name, tensor in training.network.state_dict().items():
            new = tensor.double()
            old = self._average.get(name, new)
            self._average[name] = DECAY * old + (1 - DECAY) * new

    def after_step(self, training):
        self._note(training, "after_step")

    def after_epoch(self, training):
        self._note(training, "after_epoch")

    def after_validation(self, training):
        self._note(training, "after_validation")

    def after_training(self, training):
        self._note(training, "after_training", steps=self._steps)
        folder, rank = training.files.parent, training.group.rank
        save(training.network.state_dict(), folder / f"weights-{rank}.safetensors")
        save(self._average, folder / f"average-{rank}.safetensors")

    def on_exception(self, training, error):
        self._note(training, "on_exception", error=str(error))

    def state_dict(self):
        return {"steps": self._steps, **self._average}

    def load_state_dict(self, state):
        self._steps = state.pop("steps")
        self._average = state


def save(tensors, path):
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, path)


def moments(folder, rank=0):
    """What :class:`Watch` wrote, in its order."""
    return [json.loads(line) for line in (folder / f"moments-{rank}.jsonl").read_text().splitlines()]


def prepare(tiny, folder):
    """Write the training set, the published weights, and a folder for trainings."""
    (folder / "data" / "training" / "shapes").mkdir(parents=True)
    for split, images, first in (("train", 5, 0), ("val", 2, 50)):
        document = tiny.write_coco(folder / "data", images, first)
        (folder / "data" / "training" / "shapes" / f"{split}.json").write_text(json.dumps(document))
    return publish(tiny, folder / "mirror")


def train(tiny, folder, name, group=None, *, weights="auto"):
    """Train a network in ``folder/name``, on the data that :func:`prepare` wrote; gives the files of the training.

    Micro-batches of one image make the losses independent of the number of processes.
    """
    place = folder / name
    (place / "files").mkdir(parents=True, exist_ok=True)
    own = {"tests.engine.every_network:Watch": {}}
    settings = Train(
        iterations=ITERATIONS,
        batch_size=2,
        micro_batch=1,
        learning_rate=1e-3,
        warmup_iterations=1,
        validate_every=2,
        checkpoint_every=2,
        log_every=1,
        workers=0,
        device="cpu",
        frozen_norms=True,
        augmentation=({"name": "flip"},),
        best_metric=task_declaration(tiny.task).main_metric,
        trackers=("tensorboard",),
        hooks=Hooks(ema={"decay": DECAY, "warmup": False}, pictures={"images": 2}, **own),
    )
    config = Config(
        recipe="shapes",
        task=tiny.task,
        data=tiny.data,
        model=tiny.model.model_copy(update={"weights": weights, "weights_mirror": str(folder / "mirror")}),
        train=settings,
        storage=Storage(uri=str(folder / "bucket")),
        database=Database(url="sqlite://"),
        work=Work(dir=str(folder / "work")),
    )
    source = Checkout(folder / "data", "shapes_train_v1", "c" * 40)
    checkpoints = Checkpoints(place / "checkpoints", None, minutes=60)
    train_network(config, "0.1.0", RECORD, source, files=place / "files", checkpoints=checkpoints, group=group)
    return place / "files"


def differing_pixels(one, other):
    """The share of the pixels of two images of the same size that differ clearly."""
    difference = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max(axis=2)
    return float((difference > 60).mean())


def main(folder, places):
    """Take part in one training of each network; one that fails ends the process."""
    with pytest.MonkeyPatch.context() as patch, joined_group("cpu") as group:
        torch.set_num_threads(1)
        shrink_rfdetr(patch)
        for place in places:
            mine = folder / str(place)
            try:
                weights = (mine / "weights").read_text()
                train(NETWORKS[place], mine, "two", group, weights=weights)
                (mine / f"done-{group.rank}").touch()
            except BaseException:
                (mine / f"failed-{group.rank}").write_text(traceback.format_exc())
                raise


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(place) for place in sys.argv[2:]])
