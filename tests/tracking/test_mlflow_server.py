"""A real MLflow server that dies and comes back in the middle of a training."""

import logging
import time

import pytest

from sightline.tracking import TrackedTraining, open_trackers
from tests.servers.mlflow import MlflowServer

pytest.importorskip("flask", reason="the MLflow server (package mlflow) is not installed")
pytest.importorskip("mlflow", reason="mlflow is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def server(tmp_path):
    (tmp_path / "server").mkdir()
    server = MlflowServer(tmp_path / "server")
    server.start()
    yield server
    server.kill()


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_that_dies_in_the_middle_of_a_training_has_everything_at_the_end(server, tmp_path, caplog):
    from mlflow import MlflowClient

    caplog.set_level(logging.INFO, "sightline")
    training = TrackedTraining(tmp_path / "files", 0, "0123456789abcdef", "plates", mlflow_uri=server.uri)
    tracker = open_trackers(["mlflow"], training)
    outbox = tracker._trackers[0]._tracker._outbox

    def log(iterations):
        for iteration in iterations:
            tracker.log_metrics(iteration, {"loss": 1 / iteration})

    tracker.log_parameters({"seed": 0})
    log(range(1, 101))
    wait_until(lambda: not outbox._items)
    server.kill()
    log(range(101, 201))
    wait_until(lambda: "training goes on" in caplog.text)
    model = tmp_path / "last.safetensors"
    model.write_bytes(b"weights")
    tracker.log_model(model, "last", {"mask_AP": 0.5})
    server.start()
    log(range(201, 301))
    wait_until(lambda: "works again" in caplog.text)
    tracker.close()
    client = MlflowClient(server.uri)
    (run,) = client.search_runs([client.get_experiment_by_name("plates").experiment_id])
    assert run.info.status == "FINISHED"
    curve = sorted((metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "loss"))
    assert curve == [(iteration, 1 / iteration) for iteration in range(1, 301)]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "models")] == ["models/last.safetensors"]
    messages = [record for record in caplog.records if record.name.startswith("sightline")]
    assert [record.levelname for record in messages] == ["INFO", "WARNING", "INFO"]
    assert not list((tmp_path / "files").iterdir())
