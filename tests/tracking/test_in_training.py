"""A training fills its trackers, and a tracker that fails changes nothing about it."""

import hashlib
from contextlib import closing

import pytest

from sightline.tracking import TrackedTraining, Tracker, open_trackers
from sightline.tracking.base import TrackerGroup
from sightline.tracking.guard import Guard
from tests.engine.training import run

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("ordered_event_files")]


class Broken(Tracker):
    """Raises whatever it is called with."""

    def __init__(self):
        self.calls = 0

    def _fail(self, *_):
        self.calls += 1
        raise OSError("down") if self.calls % 2 else RuntimeError("broken")

    log_metrics = log_images = log_curves = log_model = failed = close = _fail


def weights(folder):
    return hashlib.sha256((folder / "last.safetensors").read_bytes()).hexdigest()


def test_a_training_fills_tensorboard_and_mlflow(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    uri = f"sqlite:///{tmp_path}/mlflow.sqlite"
    tracked = TrackedTraining(tmp_path / "logs", 0, "0123456789abcdef", "squares", mlflow_uri=uri)
    with closing(open_trackers(["text", "tensorboard", "mlflow"], tracked)) as tracker:
        run(tmp_path / "training", tracker=tracker)
    events = EventAccumulator(str(tmp_path / "logs" / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"loss", "gradient_norm", "learning_rate", "val/mask_AP"} <= set(tags["scalars"])
    assert tags["images"]
    assert set(events.PluginTagToContent("pr_curves")) >= {"val/mask/square", "val/mask/disc"}
    client = mlflow.MlflowClient(uri)
    (found,) = client.search_runs([client.get_experiment_by_name("squares").experiment_id])
    assert found.info.status == "FINISHED"
    assert {"loss", "gradient_norm", "val/mask_AP"} <= set(found.data.metrics)
    assert {file.path for file in client.list_artifacts(found.info.run_id)} == {"curves", "images"}


def test_a_broken_tracker_changes_nothing(tmp_path):
    run(tmp_path / "alone")
    with closing(TrackerGroup([Guard("broken", Broken())])) as tracker:
        run(tmp_path / "broken", tracker=tracker)
    assert weights(tmp_path / "broken") == weights(tmp_path / "alone")
