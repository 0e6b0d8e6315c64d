"""The learning rates are those of PyTorch's schedulers."""

import pytest
import torch
from torch.optim import lr_scheduler

from sightline.config.train import Schedule
from sightline.engine.schedules import rate_factor

TOTAL = 40


def rates_of_torch(make, count=TOTAL):
    """The learning rates of the steps of an optimizer, one more than ``count``, with a rate of 1 at the peak."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(count + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) <= count:
            scheduler.step()
    return rates


def ours(schedule, *, warmup=0, total=TOTAL, first=1, last=TOTAL):
    return [rate_factor(schedule, iteration, warmup=warmup, total=total) for iteration in range(first, last + 1)]


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (Schedule(name="step", step=7, gamma=0.3), lambda o: lr_scheduler.StepLR(o, 7, 0.3)),
        (Schedule(name="step", step=1, gamma=0.9), lambda o: lr_scheduler.StepLR(o, 1, 0.9)),
        (
            Schedule(name="multi_step", milestones=(5, 20, 21), gamma=0.5),
            lambda o: lr_scheduler.MultiStepLR(o, [5, 20, 21], 0.5),
        ),
        (Schedule(name="constant"), lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    ],
)
def test_schedules_that_count_completed_steps(schedule, make):
    """Iteration ``n`` comes after ``n - 1`` steps."""
    assert ours(schedule) == pytest.approx(rates_of_torch(make)[:-1])


@pytest.mark.parametrize("warmup", [0, 10])
@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (Schedule(name="cosine"), lr_scheduler.CosineAnnealingLR),
        (Schedule(name="cosine", final=0.2), lambda o, n: lr_scheduler.CosineAnnealingLR(o, n, eta_min=0.2)),
        (Schedule(name="polynomial"), lambda o, n: lr_scheduler.PolynomialLR(o, n, 1.0)),
        (Schedule(name="polynomial", power=2.5), lambda o, n: lr_scheduler.PolynomialLR(o, n, 2.5)),
    ],
)
def test_schedules_that_fall_to_the_last_iteration(schedule, make, warmup):
    """The peak is the end of the warm-up, and the last iteration has the last value."""
    falling = TOTAL - warmup
    expected = rates_of_torch(lambda optimizer: make(optimizer, falling), falling)
    assert ours(schedule, warmup=warmup, first=warmup + 1) == pytest.approx(expected[1:], abs=1e-12)


def test_a_polynomial_with_a_final_value_is_stretched_over_what_is_above_it():
    plain = ours(Schedule(name="polynomial", power=0.9))
    assert ours(Schedule(name="polynomial", power=0.9, final=0.1)) == pytest.approx(
        [0.1 + 0.9 * rate for rate in plain]
    )


@pytest.mark.parametrize("rise", [12, 5])
def test_one_cycle(rise):
    expected = rates_of_torch(
        lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=TOTAL + 1, pct_start=(rise + 1) / (TOTAL + 1))
    )
    warmup = 0 if rise == round(0.3 * TOTAL) else rise
    assert ours(Schedule(name="one_cycle"), warmup=warmup) == pytest.approx(expected[1:], rel=1e-9)


@pytest.mark.parametrize("name", ["cosine", "step", "multi_step", "polynomial", "constant"])
def test_a_linear_warm_up_comes_first(name):
    schedule = Schedule(name=name, warmup_start=0.001, milestones=(15,), step=15)
    expected = rates_of_torch(lambda o: lr_scheduler.LinearLR(o, start_factor=0.001, total_iters=10))
    assert ours(schedule, warmup=10, last=10) == pytest.approx(expected[1:11])
