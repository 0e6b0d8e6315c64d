"""Gradients of a batch do not depend on how it is divided, and groups of parameters get what their settings say."""

import logging

import pytest
import torch
from torch import nn

from sightline.config.train import ParameterGroup, Train
from sightline.engine.gradients import compute_gradients
from sightline.engine.optimizer import build_optimizer, set_learning_rate
from sightline.engine.precision import Precision, clip_gradients
from sightline.errors import StepError
from tests.engine.plain import PLAIN_TRAIN, PlainTask, plain_network, run
from tests.engine.training import build
from tests.engine.training import run as run_training
from tests.golden import raises


def gradients(folder, micro_batch, most=100, batch=8):
    task = PlainTask(most=most)
    settings = PLAIN_TRAIN.model_copy(update={"batch_size": batch, "micro_batch": micro_batch})
    training = build(folder, settings, task=task, network=plain_network().double())
    training.batch = [training.dataset.sample(number % 5, number) for number in range(batch)]
    losses = compute_gradients(training)
    return losses, [parameter.grad for parameter in training.network.parameters()], task, training


@pytest.mark.parametrize(("micro_batch", "sizes"), [(2, [2] * 4), (4, [4, 4]), (1, [1] * 8), (3, [3, 3, 2])])
def test_accumulated_gradients_are_those_of_the_batch(tmp_path, micro_batch, sizes):
    losses, expected, *_ = gradients(tmp_path / "whole", 0)
    divided, found, task, _ = gradients(tmp_path / "divided", micro_batch)
    assert task.sizes == sizes
    assert divided == pytest.approx(losses, rel=1e-9)
    assert max(gradient.abs().max() for gradient in expected) > 1e-3
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_running_out_of_memory_halves_the_micro_batch_and_changes_nothing_else(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "sightline")
    losses, expected, *_ = gradients(tmp_path / "whole", 0)
    halved, found, task, training = gradients(tmp_path / "halved", 0, most=3)
    assert task.sizes == [8, 4, 2, 2, 2, 2]
    assert training.micro_batch == 2
    assert halved == pytest.approx(losses, rel=1e-9)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_a_training_that_runs_out_of_memory_is_the_same_training(tmp_path):
    plain, small = PlainTask(), PlainTask(most=2)
    options = {"batch_size": 4, "iterations": 4}
    expected = run(tmp_path / "plain", options, task=plain)
    found = run(tmp_path / "small", options, task=small)
    assert set(plain.sizes) == {4}
    assert small.sizes == [4, *[2] * 8]
    for one, other in zip(found.history, expected.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5) if "loss" in other else "loss" not in one
        assert one.get("learning_rate") == other.get("learning_rate")


def test_a_single_image_that_does_not_fit_is_an_error(tmp_path):
    with raises(StepError, "model.image_size"):
        gradients(tmp_path, 0, most=0)


@pytest.mark.parametrize(("limit", "factor"), [(0.0, 1.0), (100.0, 1.0), (1.0, 0.2)])
def test_gradients_are_clipped_to_a_norm(limit, factor):
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip_gradients(layer, limit).item() == pytest.approx(5.0)
    assert layer.weight.grad.tolist() == [pytest.approx([3 * factor, 4 * factor], rel=1e-5)]


class Named(nn.Module):
    """A body and a head."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.stem = nn.Conv2d(3, 4, 3)
        self.head = nn.Conv2d(4, 2, 1)


def test_the_first_group_that_matches_counts():
    network = Named()
    groups = (
        ParameterGroup(match="head.weight", learning_rate=10.0),
        ParameterGroup(match="^head", weight_decay=0.5),
        ParameterGroup(match="stem", learning_rate=0.0),
    )
    optimizer = build_optimizer(network, Train(weight_decay=0.1, parameter_groups=groups))
    set_learning_rate(optimizer, 0.01)
    by_shape = {tuple(one.shape): group for group in optimizer.param_groups for one in group["params"]}
    assert by_shape[2, 4, 1, 1]["lr"] == pytest.approx(0.1)
    assert by_shape[2, 4, 1, 1]["weight_decay"] == 0.1
    assert by_shape[2,]["lr"] == pytest.approx(0.01)
    assert by_shape[2,]["weight_decay"] == 0.0  # a bias
    assert not network.backbone.stem.weight.requires_grad
    assert (4, 3, 3, 3) not in by_shape


def test_the_scale_of_float16_goes_on_where_it_was():
    """On the CPU, where float16 has a scale as well."""
    layer, cpu = nn.Linear(4, 1), torch.device("cpu")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    precision = Precision("fp16", cpu)
    before = precision.state_dict()["scale"]
    for value in (1.0, float("inf"), 1.0):
        optimizer.zero_grad()
        with precision.autocast():
            loss = layer(torch.full((1, 4), value)).float().sum() / 10
        precision.backward(loss)
        precision.unscale(optimizer)
        precision.step(optimizer)
    assert precision.state_dict()["scale"] == before / 2
    assert all(torch.isfinite(parameter).all() for parameter in layer.parameters())
    resumed = Precision("fp16", cpu)
    resumed.load_state_dict(precision.state_dict())
    assert resumed.state_dict() == precision.state_dict()
    other = Precision("bf16", cpu)
    other.load_state_dict(precision.state_dict())
    assert other.state_dict() == {}


class Staged(nn.Module):
    """A body of a stem and two stages with batch norms, and a head, under the names of our detectors."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Module()
        body = {"conv1": nn.Conv2d(3, 4, 3), "bn1": nn.BatchNorm2d(4)}
        body |= {"layer1": nn.Conv2d(4, 4, 3), "layer2": nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))}
        self.backbone.body = nn.ModuleDict(body)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, images):
        for layer in self.backbone.body.values():
            images = layer(images)
        return self.head(images)


def changed(folder, **changes):
    """The parameters and statistics that two iterations change."""
    network = Staged()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = PLAIN_TRAIN.model_copy(update={"iterations": 2, "warmup_iterations": 0, **changes})
    run_training(folder, settings, task=PlainTask(), network=network)
    without_count = ((name, value) for name, value in network.state_dict().items() if "num_batches" not in name)
    return {name for name, value in without_count if not torch.equal(value, before[name])}, network


def test_frozen_stages_have_no_gradient_and_keep_their_statistics(tmp_path):
    everything, _ = changed(tmp_path / "all")
    assert {"backbone.body.conv1.weight", "backbone.body.bn1.running_mean", "head.weight"} <= everything
    some, network = changed(tmp_path / "some", frozen_stages=2)
    assert some == {name for name in everything if name.startswith(("backbone.body.layer2", "head"))}
    assert network.backbone.body.conv1.weight.grad is None
    assert network.backbone.body.layer1.weight.grad is None


def test_frozen_norms_keep_statistics_and_parameters(tmp_path):
    found, _ = changed(tmp_path, frozen_norms=True)
    assert not {name for name in found if ".bn1." in name or "layer2.1" in name}
    assert {"backbone.body.conv1.weight", "backbone.body.layer2.0.weight"} <= found


def test_each_stage_towards_the_input_has_a_smaller_rate():
    network = Staged()
    optimizer = build_optimizer(network, Train(layer_decay=0.5))
    set_learning_rate(optimizer, 1.0)
    rates = {id(one): group["lr"] for group in optimizer.param_groups for one in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in network.named_parameters() if name.endswith("weight")}
    assert found == {
        "head.weight": 1.0,
        "backbone.body.layer2.0.weight": 0.5**3,
        "backbone.body.layer2.1.weight": 0.5**3,
        "backbone.body.layer1.weight": 0.5**4,
        "backbone.body.conv1.weight": 0.5**5,
        "backbone.body.bn1.weight": 0.5**5,
    }
