"""What is checked before the first step of a training."""

import logging
import shutil
from collections import namedtuple

import pytest
import torch

from sightline.engine import preflight
from sightline.engine.preflight import check_feasible, overfit_one_batch
from sightline.errors import ConfigurationError, StepError
from sightline.tasks.instance_segmentation.task import InstanceSegmentation
from tests.engine.training import build, run
from tests.squares import TINY_TRAIN

Usage = namedtuple("Usage", "total used free")


def test_needs_are_estimated_and_said(tmp_path, caplog):
    caplog.set_level(logging.INFO, "sightline")
    training = build(tmp_path)
    check_feasible(training)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in training.network.state_dict().values())
    (message,) = caplog.messages
    assert f"{(3 * 3 * weights + 4 * weights) / 2**30:.2f} GiB of disk" in message


def test_a_full_disk_is_refused_before_hours_of_training(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100, 99, 1))
    with pytest.raises(StepError, match="are free at"):
        check_feasible(build(tmp_path))


def test_a_network_that_no_memory_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "_memory_of", lambda device: 1000)
    with pytest.raises(StepError, match="smaller network"):
        check_feasible(build(tmp_path))


def test_a_warm_up_longer_than_the_passes_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="warmup_iterations"):
        check_feasible(build(tmp_path, TINY_TRAIN.model_copy(update={"epochs": 1.0, "warmup_iterations": 4})))


def test_one_batch_is_learned_and_leaves_no_trace(tmp_path):
    training = build(tmp_path, TINY_TRAIN.model_copy(update={"learning_rate": 5e-3}))
    before = {name: tensor.clone() for name, tensor in training.network.state_dict().items()}
    overfit_one_batch(training)
    assert training.state.iteration == 0
    assert not training.optimizer.state
    assert all(torch.equal(tensor, before[name]) for name, tensor in training.network.state_dict().items())


def test_a_network_that_cannot_learn_is_stopped(tmp_path):
    class Constant(InstanceSegmentation):
        def losses(self, network, batch, device):
            return {"loss": sum(one.sum() for one in network.parameters()) * 0 + 1}

    with pytest.raises(StepError, match="cannot learn one batch"):
        overfit_one_batch(build(tmp_path, task=Constant()))


@pytest.mark.parametrize(("factor", "warned"), [(1.0, False), (30.0, True)])
def test_surprising_first_losses_are_pointed_out(tmp_path, caplog, factor, warned):
    class Scaled(InstanceSegmentation):
        def losses(self, network, batch, device):
            return {name: factor * loss for name, loss in super().losses(network, batch, device).items()}

    run(tmp_path, TINY_TRAIN.model_copy(update={"iterations": 2}), task=Scaled())
    assert any("the first classifier loss" in message for message in caplog.messages) is warned
