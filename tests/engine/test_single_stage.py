"""Detectors with a single stage in the training loop: a batch can be divided."""

import pytest
import torch

from sightline.tasks.base import load_task
from sightline.tasks.object_detection.settings import BoxDetector
from sightline.tasks.object_detection.task import ObjectDetection
from tests.engine.training import run
from tests.squares import TINY_MODEL, TINY_TRAIN

TINY = BoxDetector(**TINY_MODEL.model_dump(include=set(BoxDetector.model_fields)) | {"fpn_channels": 32})
SETTINGS = TINY_TRAIN.model_copy(
    update={
        "best_metric": "box_AP",
        "batch_size": 4,
        "frozen_norms": True,
    }
)


def train(folder, detector, **changes):
    torch.manual_seed(0)
    network = load_task("object_detection").build_network(TINY.model_copy(update={"detector": detector}), 2)
    return run(folder, SETTINGS.model_copy(update=changes), task=ObjectDetection(), network=network)


@pytest.mark.parametrize("detector", ["retinanet", "ssdlite"])
def test_losses_do_not_depend_on_how_a_batch_is_divided(detector, tmp_path):
    whole, divided = (
        train(tmp_path / str(count), detector, micro_batch=count, iterations=3, log_every=1).history for count in (0, 1)
    )
    losses = [record["loss"] for record in divided if "loss" in record]
    assert len(losses) == 3
    assert losses == pytest.approx([record["loss"] for record in whole if "loss" in record], rel=1e-4)
