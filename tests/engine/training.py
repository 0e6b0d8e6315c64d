"""One tiny training, as a function and, to be killed, as a program: ``python training.py FOLDER ITERATIONS``."""

import sys
from pathlib import Path

import torch

from sightline.engine.loop import Validation, train
from sightline.tasks.base import load_task
from tests.squares import TINY_MODEL, TINY_TRAIN, make_card, make_dataset, write_coco


def run(folder, settings=TINY_TRAIN, seed=0, report=lambda iteration, values: None, task=None, annotated=True):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    truth = write_coco(folder / "val", 2, first=50)
    truth["annotations"] = truth["annotations"] if annotated else []
    task = task or load_task("instance_segmentation")
    return train(
        task,
        task.build_network(TINY_MODEL, 2),
        make_dataset(folder / "train", images=5, seed=seed),
        Validation(truth, folder / "val", 10**6),
        settings,
        seed=seed,
        device=torch.device("cpu"),
        card=make_card(iteration=0, metrics={}),
        checkpoint=folder / "checkpoint.safetensors",
        models=folder,
        report=report,
    )


if __name__ == "__main__":
    run(
        Path(sys.argv[1]),
        TINY_TRAIN.model_copy(update={"iterations": int(sys.argv[2])}),
        report=lambda iteration, values: print(iteration, flush=True),  # noqa: T201
    )
