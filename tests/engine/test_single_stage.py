"""Detectors with a single stage in the training loop: accumulation, averaged weights, and exact resumption."""

import pytest
import torch
from safetensors.torch import load_file

from sightline.config.hooks import Hooks
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
        "hooks": Hooks(ema={"decay": 0.9}),
    }
)


class Interruption(Exception):  # noqa: N818
    """Stands for whatever ends a process."""


class Interrupted(ObjectDetection):
    """Its losses cannot be computed at the fifth iteration."""

    count = 0

    def losses(self, network, batch, device):
        self.count += 1
        if self.count == 5:
            raise Interruption
        return super().losses(network, batch, device)


def train(folder, detector, task=None, **changes):
    torch.manual_seed(0)
    network = load_task("object_detection").build_network(TINY.model_copy(update={"detector": detector}), 2)
    return run(folder, SETTINGS.model_copy(update=changes), task=task or ObjectDetection(), network=network)


@pytest.mark.parametrize("detector", ["fcos", "retinanet", "ssdlite"])
def test_an_interrupted_training_goes_on_to_the_same_bytes(detector, tmp_path):
    expected = train(tmp_path / "whole", detector)
    with pytest.raises(Interruption):
        train(tmp_path / "resumed", detector, Interrupted())
    resumed = train(tmp_path / "resumed", detector)
    assert [record.get("loss") for record in resumed.history] == [record.get("loss") for record in expected.history]
    for name in ("best", "last", "last_live"):
        file = f"{name}.safetensors"
        assert (tmp_path / "resumed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    average, live = (load_file(tmp_path / "whole" / f"{name}.safetensors") for name in ("last", "last_live"))
    assert any(not torch.equal(average[name], live[name]) for name in live)


@pytest.mark.parametrize("detector", ["retinanet", "ssdlite"])
def test_losses_do_not_depend_on_how_a_batch_is_divided(detector, tmp_path):
    whole, divided = (
        train(tmp_path / str(count), detector, micro_batch=count, iterations=3, log_every=1).history for count in (0, 1)
    )
    losses = [record["loss"] for record in divided if "loss" in record]
    assert len(losses) == 3
    assert losses == pytest.approx([record["loss"] for record in whole if "loss" in record], rel=1e-4)
