"""What a training says: where it runs, how long it will take, lines that fit a terminal."""

import logging

import pytest
import torch

from sightline.config.decode import decode, is_for_gpu
from sightline.engine import pace
from sightline.engine.pace import Pace, log_device
from sightline.logs import configure_logging
from sightline.tasks.base import load_task
from tests.engine.training import run
from tests.squares import TINY_TRAIN

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when the test says so."""

    class Clock:
        now = 100.0

    monkeypatch.setattr("sightline.engine.pace.time.monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "sightline")
    return caplog


def warnings(said):
    return [record.getMessage() for record in said.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(("threads", "text"), [(1, "CPU with 1 thread,"), (2, "CPU with 2 threads,")])
def test_the_device_is_named(threads, text, said, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    log_device(CPU)
    assert text in said.text


def test_an_estimate_comes_after_five_seconds_and_a_few_iterations(clock, said):
    paced = Pace(10_000, CPU, for_gpu=True)
    for seconds in (4, *[1] * 8):  # the first is slow, as a first iteration is
        clock.now += seconds
        paced.count(4)
    assert said.messages == []
    clock.now += 1
    paced.count(4)
    assert said.messages[0] == "1.0 s per iteration: about 2 h 46 min for the remaining 9990"
    (warning,) = warnings(said)
    assert "2 h 46 min" in warning
    assert "--recipe instance_segmentation_small" in warning
    clock.now += 30
    paced.count(4)
    assert len(said.messages) == 2


def test_a_slow_training_is_estimated_from_its_first_iteration(clock, said):
    paced = Pace(101, CPU, for_gpu=True)
    clock.now += 16
    paced.count(4)
    assert said.messages == ["16.0 s per iteration: about 26 min 40 s for the remaining 100"]


def test_a_gpu_or_a_short_training_is_not_warned_of(clock, said):
    for device, total in ((torch.device("cuda"), 10_000), (CPU, 100)):
        paced = Pace(total, device, for_gpu=True)
        clock.now += 16
        paced.count(4)
    assert warnings(said) == []
    assert len(said.messages) == 2


def test_a_network_for_small_machines_is_not_warned_of(clock, said):
    paced = Pace(10_000, CPU, for_gpu=False)
    clock.now += 16
    paced.count(4)
    assert warnings(said) == []
    assert len(said.messages) == 1


@pytest.mark.parametrize(
    ("recipe", "overrides", "for_gpu"),
    [
        ("instance_segmentation", ["data.classes=[cat]"], True),
        ("instance_segmentation_small", ["data.classes=[cat]"], False),
        ("instance_segmentation_small", ["data.classes=[cat]", "model.image_size=800"], True),
        ("plates", [], False),
        ("plates", ["model.backbone=resnet50"], True),
        ("object_detection", ["data.classes=[cat]"], True),
        ("object_detection_small", ["data.classes=[cat]"], False),
        ("object_detection_plates", [], False),
    ],
)
def test_which_networks_are_made_for_a_gpu(recipe, overrides, for_gpu):
    config = decode(recipe, ["data.tag=x_ann_v1", *overrides])
    assert is_for_gpu(config.task, config.model) is for_gpu


def test_neither_earlier_sessions_nor_validations_count_for_the_pace(clock):
    paced = Pace(1_000, CPU, for_gpu=True)
    paced.begin(500, 9_000.0)
    for _ in range(10):
        clock.now += 2
        paced.count(4)
        clock.now += 50
        paced.exclude_pause()
    assert paced.seconds_left == pytest.approx(2 * 490)
    assert paced.seconds == pytest.approx(9_000 + 10 * 52)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_lines_fit_80_columns(clock, capsys, device):
    configure_logging()
    short_names = load_task("instance_segmentation").short_names
    paced = Pace(100_000, torch.device(device), for_gpu=True, short_names=short_names)
    paced.begin(99_000)
    clock.now += 70
    paced.count(64)
    names = ("classifier", "box_reg", "mask", "objectness", "rpn_box_reg")
    values = {
        "loss": 13.456,
        **{f"loss_{name}": 2.691 for name in names},
        "learning_rate": 1e-4,
        "memory_gb": 120.3,
        "data_wait": 0.99,
    }
    values |= {"images_per_second": 123.4, "data_wait": 0.99} | ({"gpu_memory_gb": 139.9} if device == "cuda" else {})
    paced.log(values)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 3
    for line in lines[-3:]:
        assert len(line) <= 80, line


def test_a_loss_of_one_part_is_logged_once(clock, said):
    paced = Pace(100, CPU, for_gpu=False)
    values = {"loss": 1.25, "loss_keypoint": 1.25, "learning_rate": 1e-4, "images_per_second": 4.0}
    values |= {"memory_gb": 1.0, "data_wait": 0.1}
    paced.log(values)
    assert "keypoint" not in said.text
    paced.log(values | {"loss_box": 0.5})
    assert "keypoint 1.25 box 0.50" in said.text


def test_a_training_says_where_it_runs_first_and_how_long_it_takes(tmp_path, monkeypatch, said):
    monkeypatch.setattr(pace, "PATIENCE_SECONDS", 0.0)
    run(tmp_path, TINY_TRAIN.model_copy(update={"iterations": 2, "log_every": 2, "warmup_iterations": 1}))
    assert "training on the CPU" in said.messages[0]
    assert any("s per iteration: about" in message for message in said.messages[1:3])
    assert "2/2 loss" in said.text
