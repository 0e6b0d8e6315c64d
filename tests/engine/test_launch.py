import os
import subprocess
import sys

import pytest
import torch

from sightline.engine import launch
from sightline.engine.launch import count_processes, module_path, threads_per_process
from sightline.errors import ConfigurationError
from tests.golden import raises
from tests.squares import TINY_TRAIN


@pytest.fixture
def gpus(monkeypatch):
    """Sets the number of GPUs that torch finds."""

    def set_number(number):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    for variable in ("NVIDIA_VISIBLE_DEVICES", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(variable, raising=False)
    return set_number


def settings(**changes):
    return TINY_TRAIN.model_copy(update={"device": "auto", "batch_size": 8, **changes})


@pytest.mark.parametrize(
    ("number", "changes", "expected"),
    [
        (0, {}, 1),
        (0, {"processes": 3}, 3),  # on the CPU
        (1, {}, 1),
        (4, {}, 4),
        (4, {"processes": 2}, 2),
        (4, {"batch_size": 3}, 3),  # one image per process at least
        (4, {"batch_size": 4, "nodes": 2}, 2),
        (4, {"device": "cpu"}, 1),
    ],
)
def test_how_many_processes_train(gpus, number, changes, expected):
    gpus(number)
    assert count_processes(settings(**changes)) == expected


def test_more_processes_than_gpus_are_refused(gpus):
    gpus(1)
    with raises(ConfigurationError, "train.processes is 4", "1 GPU"):
        count_processes(settings(processes=4))


def test_more_processes_than_images_in_a_batch_are_refused(gpus):
    gpus(0)
    with raises(ConfigurationError, "train.batch_size is 8", "9 processes"):
        count_processes(settings(processes=3, nodes=3))


def test_the_cpus_are_divided(monkeypatch):
    monkeypatch.setattr(launch, "available_cpus", lambda: 8)
    assert [threads_per_process(count) for count in (1, 3, 16)] == [8, 2, 1]


def test_processes_import_what_this_one_imports(tmp_path, monkeypatch):
    """Also a hook of the user's own, from a folder that only this process knows."""
    (tmp_path / "own_hook.py").write_text("NAME = 'mine'\n")
    monkeypatch.syspath_prepend(tmp_path)
    code = "import own_hook, sightline; print(own_hook.NAME, sightline.__file__)"
    environment = os.environ | {"PYTHONPATH": module_path()}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["mine", sys.modules["sightline"].__file__]
    assert "site-packages" not in module_path()
