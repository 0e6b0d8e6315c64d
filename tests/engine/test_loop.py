import json
import logging
import math
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sightline.engine.checkpoint import TrainingState, load_checkpoint, read_state, save_checkpoint
from sightline.engine.optimiser import build_optimiser, set_learning_rate
from sightline.errors import ConfigurationError, StepError
from sightline.models.model_file import read_card
from sightline.models.safetensors_file import LONGEST_HEADER
from sightline.tasks.instance_segmentation.task import InstanceSegmentation
from tests.engine.training import run
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
        {name: value for name, value in record.items() if name not in {"images_per_second", "memory_gb"}}
        for record in history
    ]


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
    assert read_state(folder / "checkpoint.safetensors") == state


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(undisturbed, tmp_path):
    folder, state = undisturbed
    again = run(tmp_path / "same", TINY_TRAIN.model_copy(update={"workers": 1}))
    assert (tmp_path / "same" / "last.safetensors").read_bytes() == (folder / "last.safetensors").read_bytes()
    assert without_speed(again.history) == without_speed(state.history)
    other = run(tmp_path / "other", TINY_TRAIN.model_copy(update={"iterations": 2}), seed=1)
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
    tensors, expected = (load_file(where / "checkpoint.safetensors") for where in (tmp_path, folder))
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
    assert read_state(tmp_path / "checkpoint.safetensors").iteration == 2
    run(tmp_path)
    assert (tmp_path / "last.safetensors").read_bytes() == (folder / "last.safetensors").read_bytes()


def test_a_loss_that_is_not_finite_stops_training(tmp_path):
    class Task(InstanceSegmentation):
        def losses(self, network, batch, device):
            return {name: loss * math.nan for name, loss in super().losses(network, batch, device).items()}

    with pytest.raises(StepError, match=r"iteration 1: the loss .* not finite .*try a smaller train.learning_rate"):
        run(tmp_path, task=Task())


def test_a_best_metric_that_does_not_exist_names_those_that_do(tmp_path):
    with pytest.raises(ConfigurationError, match=r"train.best_metric: validation gives no EIR, only .*mask_AP50"):
        run(tmp_path, TINY_TRAIN.model_copy(update={"best_metric": "EIR"}), task=interrupted_at(1))


def test_a_val_split_without_annotations_cannot_choose(tmp_path):
    with pytest.raises(ConfigurationError, match=r"only nothing; .* see that the val split has annotations"):
        run(tmp_path, annotated=False)


def test_log_lines_say_what_a_person_wants_to_know(tmp_path, caplog):
    caplog.set_level(logging.INFO, "sightline.engine")
    logging.getLogger("sightline").propagate = True
    run(tmp_path, TINY_TRAIN.model_copy(update={"iterations": 2, "validate_every": 2}))
    line = next(message for message in caplog.messages if message.startswith("2/2 loss "))
    for part in ("lr ", "img/s", "0.0 s left"):
        assert part in line
    parts = next(message for message in caplog.messages if message.startswith("  cls "))
    for part in ("box ", "mask ", "obj ", "rpn ", "RAM ", "GB"):
        assert part in parts
    assert any(message.startswith("validation after iteration 2: box_AP=") for message in caplog.messages)


class TestCheckpoint:
    @pytest.fixture
    def layer(self):
        return torch.nn.Linear(2, 2)

    def test_a_beginning_has_no_checkpoint(self, tmp_path, layer):
        optimiser = build_optimiser(layer, 0.0)
        assert load_checkpoint(tmp_path / "none", layer, optimiser) == read_state(tmp_path / "none") == TrainingState()

    @pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-8], lambda data: b"x" * len(data)])
    def test_a_damaged_one_is_refused(self, tmp_path, layer, damage):
        path = tmp_path / "checkpoint.safetensors"
        optimiser = build_optimiser(layer, 0.0)
        layer(torch.ones(1, 2)).sum().backward()
        optimiser.step()
        save_checkpoint(path, layer, optimiser, TrainingState(iteration=3))
        assert load_checkpoint(path, layer, optimiser).iteration == 3
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(StepError, match=r"cannot be used .* remove the folder"):
            load_checkpoint(path, layer, optimiser)

    def test_a_history_of_any_length_stays_out_of_the_header(self, tmp_path, layer):
        path = tmp_path / "checkpoint.safetensors"
        history = [{"iteration": index, "loss": 1 / 3, "loss_classification": 2 / 3} for index in range(300_000)]
        state = TrainingState(iteration=300_000, seconds=1.5, best_metrics={"mask_AP": 0.5}, history=history)
        save_checkpoint(path, layer, build_optimiser(layer, 0.0), state)
        assert path.stat().st_size > LONGEST_HEADER
        assert int.from_bytes(path.read_bytes()[:8], "little") < 10_000
        assert read_state(path) == load_checkpoint(path, layer, build_optimiser(layer, 0.0)) == state

    def test_one_of_an_earlier_release_is_read(self, tmp_path, layer):
        path = tmp_path / "checkpoint.safetensors"
        state = TrainingState(iteration=2, history=[{"iteration": 1, "loss": 3.0}])
        tensors = {f"network.{name}": tensor for name, tensor in layer.state_dict().items()}
        save_file(tensors, path, {"sightline-checkpoint": json.dumps(asdict(state))})
        assert load_checkpoint(path, layer, build_optimiser(layer, 0.0)) == read_state(path) == state

    def test_one_of_a_later_release_is_refused(self, tmp_path, layer):
        path = tmp_path / "checkpoint.safetensors"
        save_file(layer.state_dict(), path, {"sightline-checkpoint": json.dumps({"format": 3, "iteration": 2})})
        with pytest.raises(StepError, match=r"has format 3, but Sightline .* reads formats up to 2"):
            read_state(path)

    def test_a_parameter_without_optimiser_state_resumes(self, tmp_path):
        def network():
            torch.manual_seed(0)
            made = torch.nn.ModuleDict({name: torch.nn.Linear(2, 2) for name in ("used", "frozen", "unused")})
            made["frozen"].requires_grad_(requires_grad=False)
            return made, build_optimiser(made, 0.0)

        def steps(made, optimiser, count):
            for _ in range(count):
                set_learning_rate(optimiser, 0.1)
                optimiser.zero_grad()
                made["used"](made["frozen"](torch.ones(1, 2))).sum().backward()
                optimiser.step()

        whole, optimiser = network()
        steps(whole, optimiser, 2)
        halted, optimiser = network()
        steps(halted, optimiser, 1)
        save_checkpoint(tmp_path / "c", halted, optimiser, TrainingState(iteration=1))
        resumed, optimiser = network()
        load_checkpoint(tmp_path / "c", resumed, optimiser)
        assert {id(parameter) for parameter in optimiser.state} == {id(p) for p in resumed["used"].parameters()}
        steps(resumed, optimiser, 1)
        assert all(torch.equal(one, other) for one, other in zip(resumed.parameters(), whole.parameters(), strict=True))

    def test_half_of_an_optimiser_state_is_a_damage(self, tmp_path, layer):
        path = tmp_path / "checkpoint.safetensors"
        optimiser = build_optimiser(layer, 0.0)
        layer(torch.ones(1, 2)).sum().backward()
        optimiser.step()
        for state in optimiser.state.values():
            del state["exp_avg_sq"]
        save_checkpoint(path, layer, optimiser, TrainingState(iteration=1))
        with pytest.raises(StepError, match="the optimiser state of weight has no exp_avg_sq"):
            load_checkpoint(path, layer, optimiser)

    def test_one_of_another_network_is_refused(self, tmp_path, layer):
        path = tmp_path / "checkpoint.safetensors"
        save_checkpoint(path, layer, build_optimiser(layer, 0.0), TrainingState(iteration=3))
        other = torch.nn.Linear(3, 2)
        with pytest.raises(StepError, match="size mismatch"):
            load_checkpoint(path, other, build_optimiser(other, 0.0))
