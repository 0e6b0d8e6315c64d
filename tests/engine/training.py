"""One tiny training, as a function and, to be killed, as a program: ``python training.py FOLDER ITERATIONS``."""

import sys
from pathlib import Path

import torch

from sightline.engine.checkpoints import Checkpoints
from sightline.engine.hooks.base import open_hooks
from sightline.engine.loop import train
from sightline.engine.pace import Pace, log_device
from sightline.engine.state import Validation
from sightline.engine.training import assemble
from sightline.tasks.base import load_task
from sightline.tracking import Tracker
from tests.squares import TINY_MODEL, TINY_TRAIN, make_card, make_dataset, write_coco


def build(folder, settings=TINY_TRAIN, seed=0, task=None, annotated=True, network=None, group=None):
    """A training whose files are below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    truth = write_coco(folder / "val", 2, first=50)
    truth["annotations"] = truth["annotations"] if annotated else []
    task = task or load_task("instance_segmentation")
    return assemble(
        task,
        network or task.build_network(TINY_MODEL, 2),
        make_dataset(folder / "train", images=5, seed=seed),
        Validation(truth, folder / "val", 10**6),
        settings,
        seed=seed,
        device=torch.device("cpu"),
        card=make_card(iteration=0, metrics={}),
        files=folder,
        group=group,
    )


def run(folder, settings=TINY_TRAIN, tracker=None, copy=None, **given):
    training = build(folder, settings, **given)
    training.tracker = tracker or training.tracker
    log_device(training.device)
    checkpoints = Checkpoints(folder / "checkpoints", copy, minutes=settings.checkpoint_minutes)
    pace = Pace(training.total, training.device, for_gpu=False, short_names=training.task.short_names)
    return train(training, open_hooks(settings.hooks), checkpoints, pace)


class Printer(Tracker):
    """Prints the iteration of each log line."""

    def log_metrics(self, iteration, values):
        print(iteration, flush=True)  # noqa: T201


if __name__ == "__main__":
    run(
        Path(sys.argv[1]),
        TINY_TRAIN.model_copy(update={"iterations": int(sys.argv[2])}),
        tracker=Printer(),
    )
