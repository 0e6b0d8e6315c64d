"""Keypoint networks in the training loop: a batch can be divided."""

import pytest
import torch

from sightline.engine.checkpoints import Checkpoints
from sightline.engine.hooks.base import open_hooks
from sightline.engine.loop import train
from sightline.engine.pace import Pace
from sightline.engine.state import Validation
from sightline.engine.training import assemble
from sightline.tasks.keypoints.task import KeypointsOfObjects
from tests.arrows import NETWORKS, card_of, make_dataset, write_coco
from tests.squares import TINY_TRAIN

SETTINGS = TINY_TRAIN.model_copy(update={"best_metric": "keypoint_AP", "frozen_norms": True})


def run(folder, model, **changes):
    torch.manual_seed(0)
    task, settings = KeypointsOfObjects(), SETTINGS.model_copy(update=changes)
    training = assemble(
        task,
        task.build_network(model, 1),
        make_dataset(folder / "train", 5, model=model),
        Validation(write_coco(folder / "val", 2, first=50), folder / "val", 10**6),
        settings,
        seed=0,
        device=torch.device("cpu"),
        card=card_of(model),
        files=folder,
    )
    pace = Pace(training.total, training.device, for_gpu=False, short_names=task.short_names)
    return train(training, open_hooks(settings.hooks), Checkpoints(folder / "checkpoints", None), pace)


def test_losses_of_heat_maps_do_not_depend_on_how_a_batch_is_divided(tmp_path):
    whole, divided = (
        run(tmp_path / str(count), NETWORKS["heatmap"], micro_batch=count, iterations=3, log_every=1).history
        for count in (0, 1)
    )
    losses = [record["loss"] for record in divided if "loss" in record]
    assert len(losses) == 3
    assert losses == pytest.approx([record["loss"] for record in whole if "loss" in record], rel=1e-4)
