"""What MLflow's own client reads after trainings that were whole, killed, resumed, refused, or inside Kubeflow."""

import hashlib
import json
import logging
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import ConfigurationError
from sightline.tracking import PrecisionRecallCurve, TrackedImage, TrackedTraining, open_trackers, recording
from tests.golden import raises

pytest.importorskip("mlflow", reason="mlflow is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's dependencies warn of each other


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A store with MLflow's tables, which take seconds to create."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.sqlite"
    MlflowClient(f"sqlite:///{path}").get_experiment_by_name("plates")
    return path


@pytest.fixture
def world(empty_store, tmp_path):
    shutil.copy(empty_store, tmp_path / "mlflow.sqlite")
    return World(tmp_path)


class World:
    """Trainings of one dataset on one work volume."""

    def __init__(self, folder):
        from mlflow import MlflowClient

        self.folder, self.uri = folder, f"sqlite:///{folder}/mlflow.sqlite"
        self.client = MlflowClient(self.uri)

    def open(self, resume_iteration=0, key="0123456789abcdef"):
        tags = {"sightline.training_tag": "plates_train_v1", "sightline.code_rev": "c0ffee", "sightline.run_id": ""}
        training = TrackedTraining(self.folder / "files", resume_iteration, key, "plates", tags, self.uri)
        return open_trackers(["mlflow"], training)

    def runs(self):
        experiment = self.client.get_experiment_by_name("plates")
        return self.client.search_runs([experiment.experiment_id]) if experiment else []

    def run(self):
        (run,) = self.runs()
        return run

    def curve(self, name="loss"):
        history = self.client.get_metric_history(self.run().info.run_id, name)
        return [(metric.step, metric.value) for metric in sorted(history, key=lambda metric: metric.step)]

    def files(self, path=""):
        found = self.client.list_artifacts(self.run().info.run_id, path)
        return [one.path for one in found if not one.is_dir] + [
            name for one in found if one.is_dir for name in self.files(one.path)
        ]

    def read(self, name):
        return Path(self.client.download_artifacts(self.run().info.run_id, name, str(self.folder)))


def kill(tracker):
    """What a SIGKILL leaves: nothing more is sent, and the files stay as they are."""
    (guard,) = tracker._trackers
    with guard._tracker._outbox._changed:
        guard._tracker._outbox._closing = True
        guard._tracker._outbox._items.clear()


def test_a_training_is_found_with_everything_in_it(world):
    tracker = world.open()
    tracker.log_parameters({"seed": 0, "train.learning_rate": 1e-4, "model.name": None, "data.aliases": "x" * 7000})
    for iteration in range(1, 1501):
        tracker.log_metrics(iteration, {"loss": 1 / iteration, "learning_rate": 0.1})
    tracker.log_metrics(1500, {"val/mask_AP": 0.5, "val/AP of 'cat & dog'": 0.25})
    model = world.folder / "best.safetensors"
    model.write_bytes(b"weights")
    tracker.log_model(model, "best", {"mask_AP": 0.5})
    tracker.close()
    tracker.close()
    run = world.run()
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "plates 01234567"
    assert run.data.params | {"data.aliases": ""} == {
        "seed": "0",
        "train.learning_rate": "0.0001",
        "model.name": "null",
        "data.aliases": "",
    }
    assert world.curve() == [(iteration, 1 / iteration) for iteration in range(1, 1501)]
    assert len(world.curve("learning_rate")) == 1500
    assert world.curve("val/mask_AP") == [(1500, 0.5)]
    assert world.curve("val/AP of _cat _ dog_") == [(1500, 0.25)]
    assert {name.partition(".")[2]: value for name, value in run.data.tags.items() if "sightline" in name} == {
        "training": "0123456789abcdef",
        "training_tag": "plates_train_v1",
        "code_rev": "c0ffee",
        "iteration": "1500",
        "model.best.sha256": hashlib.sha256(b"weights").hexdigest(),
        "model.best.metrics": '{"mask_AP": 0.5}',
    }
    assert world.files() == ["models/best.safetensors"]
    assert world.read("models/best.safetensors").read_bytes() == b"weights"
    assert [path.name for path in (world.folder / "files").iterdir()] == []


def test_images_and_curves_are_files_of_the_run(world):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    tracker = world.open()
    tracker.log_images(100, "val/predictions", [TrackedImage(pixels, "ä/b.png: truth"), TrackedImage(pixels)])
    recall, precision = np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.75, 0.25])
    tracker.log_curves(100, "val/mask", [PrecisionRecallCurve("cat", recall, precision)])
    tracker.close()
    names = world.files()
    images = [name for name in names if name.startswith("images/") and name.endswith(".png")]
    assert sorted(name.split("+")[0] for name in images) == [
        "images/val~predictions~0 _~b.png_ truth",
        "images/val~predictions~1",
    ]
    assert all("+step+100+" in name for name in images)
    assert np.array_equal(np.array(Image.open(world.read(images[0]))), pixels)
    curves = json.loads(world.read("curves/val/mask/00000100.json").read_text())
    assert curves == [{"name": "cat", "recall": [0, 0.5, 1], "precision": [1, 0.75, 0.25]}]
    assert Image.open(world.read("curves/val/mask/00000100.png")).size == (700, 500)


def test_of_several_models_with_a_name_that_wait_only_the_newest_is_sent(world, monkeypatch):
    from mlflow import MlflowClient

    sent, upload = [], MlflowClient.log_artifact
    monkeypatch.setattr(
        MlflowClient,
        "log_artifact",
        lambda client, run, path, place: (sent.append(path), upload(client, run, path, place)),
    )
    tracker = world.open()
    outbox, gate = tracker._trackers[0]._tracker._outbox, threading.Event()
    deliver = outbox._deliver
    outbox._deliver = lambda records: gate.wait(10) and deliver(records)
    for content in (b"1", b"2", b"3"):
        model = world.folder / "best.safetensors"
        model.write_bytes(content)
        tracker.log_model(model, "best", {})
    gate.set()
    tracker.close()
    assert sent == [str(model)]
    assert world.run().data.tags["sightline.model.best.sha256"] == hashlib.sha256(b"3").hexdigest()


def test_a_resumed_training_goes_on_in_its_run_without_a_point_twice(world):
    tracker = world.open()
    tracker.log_parameters({"seed": 0, "train.workers": 1})
    for iteration in range(1, 8):
        tracker.log_metrics(iteration, {"loss": float(iteration)})
    tracker.log_images(6, "val/predictions", [TrackedImage(np.zeros((4, 4, 3), np.uint8))])
    tracker.failed(KeyboardInterrupt())
    tracker.close()
    assert world.run().info.status == "KILLED"
    tracker = world.open(resume_iteration=4)
    tracker.log_parameters({"seed": 0, "train.workers": 2, "new": 1})
    for iteration in range(5, 11):
        tracker.log_metrics(iteration, {"loss": float(iteration)})
        tracker.log_metrics(iteration, {"val/mask_AP": iteration / 10})
    tracker.log_images(6, "val/predictions", [TrackedImage(np.zeros((4, 4, 3), np.uint8))])
    tracker.close()
    assert world.run().info.status == "FINISHED"
    assert world.curve() == [(iteration, float(iteration)) for iteration in range(1, 11)]
    assert world.curve("val/mask_AP") == [(7, 0.7), (8, 0.8), (9, 0.9), (10, 1.0)]
    assert world.run().data.params == {"seed": "0", "train.workers": "1", "new": "1"}
    assert len([name for name in world.files() if name.endswith(".png")]) == 1


def test_what_was_not_sent_before_a_kill_is_sent_after_the_resume(world):
    tracker = world.open()
    (guard,) = tracker._trackers
    guard._tracker._outbox._deliver = lambda records: (_ for _ in ()).throw(ConnectionError("down"))
    for iteration in range(1, 8):
        tracker.log_metrics(iteration, {"loss": float(iteration)})
    kill(tracker)
    assert world.runs() == []
    tracker = world.open(resume_iteration=4)
    tracker.log_metrics(5, {"loss": 5.5})
    tracker.close()
    assert world.curve() == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 5.5)]


def test_a_new_training_with_a_key_that_finished_gets_a_run_of_its_own(world):
    for _ in range(2):
        tracker = world.open()
        tracker.log_metrics(1, {"loss": 1.0})
        tracker.close()
    assert len(world.runs()) == 2


def test_trainings_share_an_experiment_and_not_a_run(world):
    for key in ("a" * 16, "b" * 16):
        tracker = world.open(resume_iteration=1, key=key)
        tracker.log_metrics(2, {"loss": 1.0})
        tracker.close()
    assert {run.data.tags["sightline.training"] for run in world.runs()} == {"a" * 16, "b" * 16}


@pytest.mark.parametrize("error", [None, ValueError("loss is not finite")])
def test_inside_kubeflow_the_run_of_the_task_is_used_and_left_open(world, monkeypatch, error):
    experiment = world.client.create_experiment("kubeflow", artifact_location=str(world.folder / "kubeflow"))
    run = world.client.create_run(experiment)
    world.client.log_param(run.info.run_id, "seed", "of the pipeline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", world.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    tracker = world.open()
    tracker.log_parameters({"seed": 0, "train.batch_size": 4})
    tracker.log_metrics(1, {"loss": 1.0})
    if error:
        tracker.failed(error)
    tracker.close()
    run = world.client.get_run(run.info.run_id)
    assert run.info.status == "RUNNING"
    assert run.data.metrics == {"loss": 1.0}
    assert run.data.params == {"seed": "of the pipeline", "train.batch_size": "4"}
    assert run.data.tags.get("sightline.error", "") == ("ValueError: loss is not finite" if error else "")
    assert world.runs() == []
    assert len(world.client.search_runs([experiment])) == 1


def test_a_run_of_kubeflow_that_is_gone_is_not_replaced(world, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", world.uri)
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    tracker = world.open()
    tracker.log_metrics(1, {"loss": 1.0})
    tracker.close()
    assert world.runs() == []
    assert "0" * 32 in caplog.text
    assert str(world.folder / "files" / "mlflow-log.jsonl") in caplog.text
    assert (world.folder / "files" / "mlflow-log.jsonl").is_file()


def test_a_failed_training_says_why(world):
    tracker = world.open()
    tracker.log_metrics(1, {"loss": 1.0})
    tracker.failed(OSError("cannot fetch https://me:s3cret@host/data"))
    tracker.close()
    assert world.run().info.status == "FAILED"
    assert world.run().data.tags["sightline.error"] == "OSError: cannot fetch https://***@host/data"


def test_a_value_that_is_refused_takes_no_other_with_it(world, caplog):
    tracker = world.open()
    for iteration in range(1, 6):
        name = "loss" if iteration != 3 else "x" * 300
        tracker.log_metrics(iteration, {name: 1.0})
    tracker.close()
    assert [step for step, _ in world.curve()] == [1, 2, 4, 5]
    levels = [record.levelname for record in caplog.records if record.name.startswith("sightline")]
    assert [level for level in levels if level != "INFO"] == ["WARNING"]


def test_a_lost_model_file_does_not_hold_the_values(world, caplog):
    tracker = world.open()
    tracker.log_model(world.folder / "gone.safetensors", "best", {})
    tracker.log_metrics(1, {"loss": 1.0})
    tracker.close()
    assert world.curve() == [(1, 1.0)]
    assert "gone.safetensors" in caplog.text


def test_a_place_for_files_that_is_away_does_not_hold_the_values(world, monkeypatch, caplog):
    from mlflow import MlflowClient

    def refuse(*_):
        raise ConnectionError("the bucket is down")

    monkeypatch.setattr(MlflowClient, "log_artifact", refuse)
    model = world.folder / "best.safetensors"
    model.write_bytes(b"weights")
    tracker = world.open()
    tracker.log_model(model, "best", {})
    tracker.log_metrics(1, {"loss": 1.0})
    tracker.close()
    assert world.curve() == [(1, 1.0)]
    assert world.run().info.status == "FINISHED"
    assert "the bucket is down" in caplog.text


def test_a_server_that_is_away_delays_the_end_only_shortly(world, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "sightline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:9")
    monkeypatch.setattr(recording, "CLOSE_SECONDS", 3.0)
    tracker = world.open()
    for iteration in range(1, 101):
        tracker.log_metrics(iteration, {"loss": 1.0})
    tracker.close()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("sightline")]
    assert len(ours) == 2
    assert "training goes on" in ours[0]
    assert "101 records" in ours[1]
    assert "s3cret" not in "".join(ours)
    kept = (world.folder / "files" / "mlflow-log.jsonl").read_text()
    assert len(kept.splitlines()) == 100
    assert "s3cret" not in kept


@pytest.mark.parametrize("address", ["file:///tmp/mlruns", "/tmp/mlruns", "mlruns"])
def test_a_folder_is_refused_before_the_first_step(world, monkeypatch, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with raises(ConfigurationError, address, "sqlite:///"):
        world.open()


def test_a_missing_package_names_the_extra(world, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "mlflow", None)
    with raises(ConfigurationError, "mlflow"):
        world.open()
