import logging
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sightline.engine.checkpoints import Checkpoints
from sightline.errors import ConfigurationError, StepError
from sightline.models.model_file import read_card
from sightline.tasks.instance_segmentation.task import InstanceSegmentation
from tests.engine.training import run
from tests.golden import raises
from tests.squares import TINY_TRAIN

ROOT = Path(__file__).resolve().parents[2]


class Interruption(Exception):  # noqa: N818
    """Stands for whatever ends a process."""


def interrupted_at(number):
    """A task whose losses cannot be computed any more at the iteration of that number."""

    class Task(InstanceSegmentation):
        count = 0

        def losses(self, network, batch, device):
            self.count += 1
            if self.count == number:
                raise Interruption
            return super().losses(network, batch, device)

    return Task()


def without_speed(history):
    return [
        {name: value for name, value in record.items() if name not in {"images_per_second", "memory_gb", "data_wait"}}
        for record in history
    ]


def newest(folder):
    """The progress in the newest checkpoint."""
    return Checkpoints(folder / "checkpoints").read_state()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, run(folder)


def test_a_training_leaves_models_history_and_a_checkpoint(undisturbed):
    folder, state = undisturbed
    assert state.iteration == TINY_TRAIN.iterations
    assert [record["iteration"] for record in state.history] == [2, 3, 4, 6]
    assert {"loss", "loss_mask", "learning_rate", "images_per_second", "memory_gb"} <= state.history[0].keys()
    assert "val/mask_AP" in state.history[1]
    assert {"loss", "val/mask_AP"} <= state.history[3].keys()
    assert state.history[3]["learning_rate"] == pytest.approx(0, abs=1e-9)
    last, best = read_card(folder / "last.safetensors"), read_card(folder / "best.safetensors")
    assert last.iteration == 6
    assert best.iteration == state.best_iteration
    assert best.metrics == state.best_metrics
    assert best.metrics["mask_AP"] >= last.metrics["mask_AP"]
    assert newest(folder) == state


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(undisturbed, tmp_path):
    folder, state = undisturbed
    again = run(tmp_path / "same", TINY_TRAIN.model_copy(update={"workers": 1}))
    assert (tmp_path / "same" / "last.safetensors").read_bytes() == (folder / "last.safetensors").read_bytes()
    assert without_speed(again.history) == without_speed(state.history)
    other = run(tmp_path / "other", TINY_TRAIN.model_copy(update={"iterations": 2, "warmup_iterations": 1}), seed=1)
    assert other.history[0]["loss"] != state.history[0]["loss"]


@pytest.mark.parametrize("number", [1, 4, 5, 6])
def test_an_interrupted_training_goes_on_to_the_same_bytes(undisturbed, tmp_path, number):
    folder, state = undisturbed
    with pytest.raises(Interruption):
        run(tmp_path, task=interrupted_at(number))
    resumed = run(tmp_path)
    for name in ("best.safetensors", "last.safetensors"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert without_speed(resumed.history) == without_speed(state.history)
    tensors, expected = (load_file(where / "checkpoints" / "00000006.safetensors") for where in (tmp_path, folder))
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected if name != "history.json")


def test_a_finished_training_is_not_done_again(undisturbed):
    folder, state = undisturbed
    assert run(folder, task=interrupted_at(1)) == state


def test_a_killed_process_goes_on_to_the_same_bytes(undisturbed, tmp_path):
    folder, _ = undisturbed
    command = [sys.executable, str(ROOT / "tests/engine/training.py"), str(tmp_path), str(TINY_TRAIN.iterations)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "shared"), str(ROOT)])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            if int(line) >= 3:
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "last.safetensors").exists()
    assert newest(tmp_path).iteration == 2
    run(tmp_path)
    assert (tmp_path / "last.safetensors").read_bytes() == (folder / "last.safetensors").read_bytes()


def test_a_loss_that_is_not_finite_stops_training(tmp_path):
    class Task(InstanceSegmentation):
        def losses(self, network, batch, device):
            return {name: loss * math.nan for name, loss in super().losses(network, batch, device).items()}

    with raises(StepError, "train.learning_rate"):
        run(tmp_path, task=Task())


def test_a_best_metric_that_does_not_exist_names_those_that_do(tmp_path):
    with raises(ConfigurationError, "train.best_metric", "EIR", "mask_AP50"):
        run(tmp_path, TINY_TRAIN.model_copy(update={"best_metric": "EIR"}), task=interrupted_at(1))


def test_a_val_split_without_annotations_cannot_choose(tmp_path):
    with raises(ConfigurationError):
        run(tmp_path, annotated=False)


def test_log_lines_say_what_a_person_wants_to_know(tmp_path, caplog):
    caplog.set_level(logging.INFO, "sightline.engine")
    logging.getLogger("sightline").propagate = True
    run(tmp_path, TINY_TRAIN.model_copy(update={"iterations": 2, "validate_every": 2}))
    line = next(message for message in caplog.messages if message.startswith("2/2 loss "))
    for part in ("lr ", "img/s", "0.0 s left"):
        assert part in line
    parts = "".join(caplog.messages[caplog.messages.index(line) + 1 :])
    for part in ("  cls ", "box ", "mask ", "obj ", "rpn ", "wait ", "RAM ", "GB"):
        assert part in parts
    assert any(message.startswith("validation after iteration 2: box_AP=") for message in caplog.messages)
