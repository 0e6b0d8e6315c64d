"""Every optimizer that a recipe may name trains, and resumes from a checkpoint with the same bytes."""

import pytest
import torch
from safetensors.torch import load_file

from sightline.config.train import OPTIMIZERS, Train
from sightline.engine.optimizer import build_optimizer
from sightline.errors import ConfigurationError
from tests.engine.plain import Interruption, PlainTask, plain_network, run
from tests.golden import raises

NOT_OURS = {
    "Optimizer": "the base class",
    "LBFGS": "computes the loss several times a step",
    "Rprop": "is for whole data sets, has no weight decay, and uses the learning rate of the first step only",
    "SparseAdam": "is for sparse gradients",
    "Muon": "is for matrices only",
}


def test_the_optimizers_are_those_of_torch():
    there = {name for name, kind in vars(torch.optim).items() if isinstance(kind, type)}
    assert {name.lower() for name in there - NOT_OURS.keys()} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_trains_and_resumes(name, tmp_path):
    changes = {"optimizer": name, "iterations": 5, "learning_rate": 0.01, "warmup_iterations": 1}
    run(tmp_path / "whole", changes)
    with pytest.raises(Interruption):
        run(tmp_path / "cut", changes, task=PlainTask(fail_at=4))
    resumed = PlainTask()
    run(tmp_path / "cut", changes, task=resumed)
    assert len(resumed.sizes) < 5
    begin = plain_network().state_dict()
    for file in ("last.safetensors", "checkpoints/00000005.safetensors"):
        expected, found = load_file(tmp_path / "whole" / file), load_file(tmp_path / "cut" / file)
        assert found.keys() == expected.keys()
        assert [key for key in found if key != "history.json" and not torch.equal(found[key], expected[key])] == []
    weights = load_file(tmp_path / "whole" / "last.safetensors")
    assert all(torch.isfinite(weights[key]).all() for key in weights)
    assert [key for key in begin if torch.equal(weights[key], begin[key])] == []


def test_options_that_do_not_fit_are_named():
    with raises(ConfigurationError, "train.optimizer_options", "nesterov", "torch.optim.Adam"):
        build_optimizer(plain_network(), Train(optimizer="adam", optimizer_options={"nesterov": True}))


def test_options_reach_the_optimizer():
    optimizer = build_optimizer(
        plain_network(), Train(optimizer="sgd", optimizer_options={"momentum": 0.8, "nesterov": True})
    )
    assert {(group["momentum"], group["nesterov"]) for group in optimizer.param_groups} == {(0.8, True)}
