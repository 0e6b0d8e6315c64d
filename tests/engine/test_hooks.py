"""What hangs on the loop: averages, early ends, limits, traces, candidates, and hooks of the users' own."""

import json
import logging
import mmap

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from sightline.config.hooks import EarlyStopping, Ema, Hooks, MemoryGuard
from sightline.engine.hooks import memory_guard
from sightline.engine.hooks.base import Hook, HookList, open_hooks
from sightline.engine.hooks.early_stopping import EarlyStoppingHook
from sightline.engine.hooks.ema import EmaHook
from sightline.errors import ConfigurationError, StepError
from sightline.models.model_file import read_card
from tests.engine.plain import PLAIN_TRAIN, Interruption, PlainTask, plain_network, run
from tests.engine.training import build
from tests.golden import raises

OWN = f"{__name__}:Failing"


class Failing(Hook):
    """Fails at a moment; counts the others."""

    calls: list[tuple[str, int]] = []  # noqa: RUF012

    def __init__(self, moment="", at=1):
        for name in [name for name in vars(Hook) if name.startswith(("before", "after"))]:
            setattr(self, name, self._make(name, name == moment, at))

    def _make(self, name, fails, at):
        def method(training):
            type(self).calls.append((name, training.iteration))
            if fails and training.iteration >= at:
                raise ValueError("no such file: palette.png")

        return method

    def on_exception(self, training, error):
        type(self).calls.append(("on_exception", training.iteration))


@pytest.mark.parametrize(
    "moment",
    [
        "before_training",
        "before_step",
        "before_optimizer_step",
        "after_optimizer_step",
        "after_step",
        "after_epoch",
        "after_validation",
        "after_training",
    ],
)
def test_a_hook_that_fails_is_named_with_the_moment_and_the_iteration(tmp_path, moment, monkeypatch):
    monkeypatch.setattr(Failing, "calls", [])
    hooks = Hooks(**{OWN: {"moment": moment, "at": 0 if moment == "before_training" else 2}})
    with pytest.raises(StepError) as caught:
        run(tmp_path, {"hooks": hooks, "iterations": 4})
    iteration = {"before_training": 0, "after_epoch": 3, "after_training": 4}.get(moment, 2)
    for part in (OWN, moment, f"iteration {iteration}", "ValueError", "palette.png"):
        assert part in str(caught.value)
    assert Failing.calls[-2:] == [(moment, iteration), ("on_exception", iteration)]


def test_a_hook_that_fails_after_another_error_does_not_hide_it(tmp_path):
    class Worse(Hook):
        def on_exception(self, training, error):
            raise OSError("disk full")

    with pytest.raises(Interruption) as caught, HookList({"worse": Worse()}).watching(None):
        raise Interruption
    assert "disk full" in caught.value.__notes__[0]


@pytest.mark.parametrize("arguments", [{"colour": 1}, {"moment": "after_step", "at": 1, "more": 2}])
def test_arguments_that_do_not_fit_are_an_error(arguments):
    with pytest.raises(ConfigurationError, match=OWN):
        open_hooks(Hooks(**{OWN: arguments}))


@pytest.mark.parametrize(("decay", "warmup"), [(0.9, False), (0.9, True), (0.2, True)])
def test_the_average_is_that_of_a_loop(tmp_path, decay, warmup):
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    training = build(tmp_path, PLAIN_TRAIN, network=network)
    hook = EmaHook(Ema(decay=decay, warmup=warmup))
    hook.before_training(training)
    generator = torch.Generator().manual_seed(0)
    expected = {}
    for step in range(1, 8):
        with torch.no_grad():
            for value in network.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.randn(value.shape, generator=generator))
        hook.after_optimizer_step(training)
        rate = min(decay, (1 + step) / (10 + step)) if warmup else decay
        for name, value in network.state_dict().items():
            new = value.double()
            expected[name] = new if step == 1 else rate * expected[name] + (1 - rate) * new
    found = training.evaluated.state_dict()
    assert training.evaluated is not network
    for name in ("0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(found[name].double(), expected[name], rtol=1e-5, atol=1e-6)


def test_both_weights_are_published_and_the_average_is_the_smoother_one(tmp_path):
    run(tmp_path, {"hooks": Hooks(ema={"decay": 0.9, "warmup": False}), "iterations": 5, "learning_rate": 0.01})
    last, live = (load_file(tmp_path / f"{name}.safetensors") for name in ("last", "last_live"))
    start = plain_network().state_dict()
    moved = {name: (last[name] - start[name]).norm() / (live[name] - start[name]).norm() for name in start}
    assert max(moved.values()) < 0.9
    cards = {name: read_card(tmp_path / f"{name}.safetensors") for name in ("last", "last_live")}
    assert cards["last"].metrics
    assert not cards["last_live"].metrics  # only the average was validated


@pytest.mark.parametrize(
    ("settings", "scores", "stops_after"),
    [
        ({"patience": 2}, [0.1, 0.2, 0.2, 0.15, 0.9], 4),  # equal is not better
        ({"patience": 2}, [0.1, 0.2, 0.15, 0.3, 0.2, 0.3], 6),
        ({"patience": 1, "min_gain": 0.1}, [0.1, 0.25, 0.3, 0.9], 3),
        ({"patience": 1, "min_gain": 0.1}, [0.1, 0.25, 0.4, 0.5], 4),
        ({"target": 0.5}, [0.1, 0.49, 0.5, 0.9], 3),
        ({"patience": 3, "target": 0.3}, [0.1, 0.3, 0.1], 2),
    ],
)
def test_training_stops_when_it_does_not_improve_or_is_good_enough(tmp_path, settings, scores, stops_after):
    """A validation follows every iteration."""
    task = PlainTask(scores=[*scores, *[0.0] * 10])
    state = run(tmp_path, {"validate_every": 1, "hooks": Hooks(early_stopping=settings), "iterations": 8}, task=task)
    assert state.iteration == stops_after
    assert "mask_AP" in state.stopped
    assert read_card(tmp_path / "best.safetensors").metrics["mask_AP"] == max(scores[:stops_after])
    assert (tmp_path / "last.safetensors").is_file()


def test_patience_survives_an_interruption():
    first = EarlyStoppingHook(EarlyStopping(patience=3))
    second = EarlyStoppingHook(EarlyStopping(patience=3))
    first._best, first._waited = 0.5, 2
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert (second._best, second._waited) == (0.5, 2)


@pytest.mark.parametrize("fail_at", [0, 3, 5, 7])
def test_the_best_models_are_kept_in_their_order(tmp_path, fail_at):
    """A validation follows each of seven iterations; one training is interrupted, which loses an iteration."""
    scores = [0.3, 0.1, 0.7, 0.5, 0.7, 0.2, 0.6]
    changes = {"validate_every": 1, "checkpoint_every": 2, "keep_best": 3, "iterations": 7}
    begin = 0
    if fail_at:
        with pytest.raises(Interruption):
            run(tmp_path, changes, task=PlainTask(scores=scores, fail_at=fail_at))
        begin = (fail_at - 1) // 2 * 2
    state = run(tmp_path, changes, task=PlainTask(scores=scores[begin:]))
    assert [one.iteration for one in state.ranking] == [3, 5, 7]  # of two equal ones, the earlier
    cards = {name: read_card(tmp_path / f"{name}.safetensors") for name in ("best", "best_2", "best_3", "last")}
    assert [(card.iteration, card.metrics["mask_AP"]) for card in cards.values()] == [
        (3, 0.7),
        (5, 0.7),
        (7, 0.6),
        (7, 0.6),
    ]
    assert not list(tmp_path.glob(".*"))


class Memory:
    """Memory in use at each iteration, GiB."""

    def __init__(self, monkeypatch, *used):
        self.used = list(used)
        monkeypatch.setattr(memory_guard, "ram_gb", lambda: self.used.pop(0))


def test_iterations_above_the_memory_limit_are_left_out(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "sightline")
    Memory(monkeypatch, 1.0, 3.0, 3.0, 1.0, 3.0)
    task = PlainTask()
    run(tmp_path, {"hooks": Hooks(memory_guard=MemoryGuard(ram_gb=2.0, max_skips=2)), "iterations": 5}, task=task)
    assert len(task.sizes) == 2
    assert [record.args[0] for record in caplog.records if "skipping iteration" in record.message] == [2, 3, 5]


@pytest.mark.parametrize(("settings", "iterations"), [({"action": "stop"}, 1), ({"max_skips": 1}, 2)])
def test_memory_that_stays_above_the_limit_ends_the_training(tmp_path, monkeypatch, settings, iterations):
    Memory(monkeypatch, *[3.0] * 5)
    with raises(StepError, f"iteration {iterations}:", "train.hooks.memory_guard", "3.0 GiB"):
        run(tmp_path, {"hooks": Hooks(memory_guard=MemoryGuard(ram_gb=2.0, **settings)), "iterations": 5})


def test_memory_in_use_is_that_of_the_process(tmp_path):
    before = memory_guard.ram_gb()
    with mmap.mmap(-1, 200 * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:  # pages that nothing else had
        block.write(b"1" * len(block))
        assert 0.15 < memory_guard.ram_gb() - before < 0.4


@pytest.mark.parametrize(("first", "iterations"), [(2, 2), (4, 10)])
def test_a_trace_is_written(tmp_path, first, iterations):
    """Also by a training that ends before the recording does."""
    run(tmp_path, {"hooks": Hooks(profiler={"iterations": iterations, "first": first}), "iterations": 5})
    trace = json.loads((tmp_path / "profile" / f"iteration-{first}.json").read_text())
    assert sum(event["name"] == "aten::group_norm" for event in trace["traceEvents"]) == min(iterations, 2)
