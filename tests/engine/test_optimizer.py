import pytest
import torch
from torch import nn

from sightline.config.train import Schedule, Train
from sightline.engine.optimizer import build_optimizer, set_learning_rate
from sightline.engine.schedules import rate_factor


@pytest.mark.parametrize(
    ("iteration", "expected"),
    [
        (1, 0.25),  # a quarter of the warm-up
        (4, 1.0),  # its end is the peak
        (8, 0.5),  # half of the cosine
        (12, 0.0),  # the end
    ],
)
def test_warm_up_and_cosine(iteration, expected):
    assert rate_factor(Schedule(), iteration, warmup=4, total=12) == pytest.approx(expected)


def test_no_warm_up_and_a_training_that_is_all_warm_up():
    assert rate_factor(Schedule(), 1, warmup=0, total=100) == pytest.approx(1.0, rel=1e-3)
    assert rate_factor(Schedule(), 10, warmup=10, total=10) == 1.0


def test_norms_and_biases_are_not_decayed():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1))
    network[2].weight.requires_grad_(False)
    decayed, kept = build_optimizer(network, Train(weight_decay=0.1)).param_groups
    assert [tuple(parameter.shape) for parameter in decayed["params"]] == [(4, 3, 3, 3)]
    assert decayed["weight_decay"] == 0.1
    assert len(kept["params"]) == 4
    assert kept["weight_decay"] == 0


def test_a_step_follows_the_learning_rate():
    layer = nn.Linear(1, 1, bias=False)
    before = layer.weight.item()
    optimizer = build_optimizer(layer, Train(weight_decay=0.0))
    set_learning_rate(optimizer, 0.01)
    layer(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    assert before - layer.weight.item() == pytest.approx(0.01, rel=1e-3)
