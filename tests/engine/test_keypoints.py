"""Keypoint networks in the training loop: exact resumption, accumulation, and averaged weights."""

import pytest
import torch

from sightline.config.hooks import Hooks
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.hooks.base import open_hooks
from sightline.engine.loop import train
from sightline.engine.pace import Pace
from sightline.engine.state import Validation
from sightline.engine.training import assemble
from sightline.tasks.keypoints.task import KeypointsOfObjects
from tests.arrows import NETWORKS, card_of, make_dataset, write_coco
from tests.squares import TINY_TRAIN

SETTINGS = TINY_TRAIN.model_copy(
    update={"best_metric": "keypoint_AP", "frozen_norms": True, "hooks": Hooks(ema={"decay": 0.9})}
)


class Interruption(Exception):  # noqa: N818
    """Stands for whatever ends a process."""


class Interrupted(KeypointsOfObjects):
    """Its losses cannot be computed at the fifth iteration."""

    count = 0

    def losses(self, network, batch, device):
        self.count += 1
        if self.count == 5:
            raise Interruption
        return super().losses(network, batch, device)


def run(folder, model, task=None, **changes):
    torch.manual_seed(0)
    task, settings = task or KeypointsOfObjects(), SETTINGS.model_copy(update=changes)
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


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS)
def test_an_interrupted_training_goes_on_to_the_same_bytes(model, tmp_path):
    expected = run(tmp_path / "whole", model)
    with pytest.raises(Interruption):
        run(tmp_path / "resumed", model, Interrupted())
    resumed = run(tmp_path / "resumed", model)
    assert [record.get("loss") for record in resumed.history] == [record.get("loss") for record in expected.history]
    assert any("val/keypoint_AP" in record for record in expected.history)
    for name in ("best", "last", "last_live"):
        file = f"{name}.safetensors"
        assert (tmp_path / "resumed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_losses_of_heat_maps_do_not_depend_on_how_a_batch_is_divided(tmp_path):
    whole, divided = (
        run(tmp_path / str(count), NETWORKS["heatmap"], micro_batch=count, iterations=3, log_every=1).history
        for count in (0, 1)
    )
    losses = [record["loss"] for record in divided if "loss" in record]
    assert len(losses) == 3
    assert losses == pytest.approx([record["loss"] for record in whole if "loss" in record], rel=1e-4)
