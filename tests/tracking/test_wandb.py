"""What the offline files of Weights & Biases hold, read by its own reader, also after a SIGKILL."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from sightline.errors import ConfigurationError
from sightline.tracking import PrecisionRecallCurve, TrackedImage, TrackedTraining, open_trackers
from tests.golden import raises

pytest.importorskip("wandb", reason="wandb is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # its dependencies warn of each other

KEY = "0123456789abcdef"


def start(folder, resume_iteration=0):
    tags = {"sightline.training_tag": "plates_train_v1"}
    return open_trackers(["wandb"], TrackedTraining(folder, resume_iteration, KEY, "plates", tags))


def records(folder):
    """Every record in the only run of a folder."""
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    (path,) = (folder / "wandb").glob(f"offline-run-*/run-{KEY}.wandb")
    store = DataStore()
    store.open_for_scan(str(path))
    found = []
    while data := store.scan_data():
        record = Record()
        record.ParseFromString(data)
        found.append(record)
    return found


def history(folder):
    """The logged values, without those that the program adds; fields of images as ``name.field``."""
    lines = []
    for record in records(folder):
        if record.WhichOneof("record_type") == "history":
            items = {".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            lines.append({name: value for name, value in items.items() if not name.startswith("_")})
    return sorted(lines, key=lambda line: line["iteration"])


def test_a_training_is_written_with_everything_in_it(tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    tracker = start(tmp_path)
    tracker.log_parameters({"seed": 0, "train.batch_size": 4})
    for iteration in range(1, 4):
        tracker.log_metrics(iteration, {"loss": 1 / iteration})
    tracker.log_images(3, "val/predictions", [TrackedImage(pixels, "a.png"), TrackedImage(pixels)])
    tracker.log_curves(3, "val/mask", [PrecisionRecallCurve("cat", np.array([0.0, 1]), np.array([1.0, 0]))])
    tracker.log_model(tmp_path / "best.safetensors", "best", {"mask_AP": 0.5})
    tracker.close()
    lines = history(tmp_path)
    assert [line for line in lines if "loss" in line] == [
        {"iteration": iteration, "loss": 1 / iteration} for iteration in range(1, 4)
    ]
    (images,) = (line for line in lines if "val/predictions.count" in line)
    assert (images["val/predictions.count"], images["val/predictions.captions"]) == (2, ["a.png", ""])
    (run_folder,) = (tmp_path / "wandb").glob("offline-run-*")
    assert np.array_equal(np.array(Image.open(run_folder / "files" / images["val/predictions.filenames"][0])), pixels)
    assert any("curves/val/mask.count" in line for line in lines)
    kinds = {record.WhichOneof("record_type") for record in records(tmp_path)}
    assert {"run", "config", "history", "summary", "exit"} <= kinds
    (run,) = (record.run for record in records(tmp_path) if record.WhichOneof("record_type") == "run")
    assert (run.run_id, run.project, run.display_name) == (KEY, "plates", "plates 01234567")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wandb"]


SCRIPT = """
import os, sys, time
from pathlib import Path
import numpy as np
from sightline.tracking import TrackedImage, TrackedTraining, open_trackers
tracker = open_trackers(["wandb"], TrackedTraining(Path(sys.argv[1]), 0, sys.argv[2], "plates"))
for iteration in range(1, 8):
    tracker.log_metrics(iteration, {"loss": 1 / iteration})
tracker.log_images(4, "val/predictions", [TrackedImage(np.zeros((4, 4, 3), np.uint8), "a.png")])
tracker.log_images(7, "val/predictions", [TrackedImage(np.zeros((4, 4, 3), np.uint8), "a.png")])
outbox = tracker._trackers[0]._tracker._outbox
while outbox._items:
    time.sleep(0.01)
print("logged", flush=True)
time.sleep(60)
"""


@pytest.fixture
def killed_training(tmp_path):
    """The folder of a training that was killed after it logged seven iterations, and the processes that it left."""
    environment = {**os.environ, "WANDB_API_KEY": "x" * 40}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), KEY]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "logged\n"
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    return tmp_path, children


def test_a_killed_training_loses_and_repeats_nothing(killed_training):
    folder, _ = killed_training
    tracker = start(folder, resume_iteration=4)
    for iteration in range(5, 10):
        tracker.log_metrics(iteration, {"loss": 1 / iteration})
    tracker.close()
    lines = history(folder)
    assert [line for line in lines if "loss" in line] == [
        {"iteration": iteration, "loss": 1 / iteration} for iteration in range(1, 10)
    ]
    assert [line["iteration"] for line in lines if "val/predictions.count" in line] == [4]
    assert sorted(path.name for path in folder.iterdir()) == ["wandb"]


def test_no_process_outlives_a_killed_training(killed_training):
    _, children = killed_training
    assert children
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with raises(ConfigurationError, "wandb"):
        start(tmp_path)
