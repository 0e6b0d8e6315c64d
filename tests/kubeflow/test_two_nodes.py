"""Two nodes that are two torchrun programs on this machine, started as the TrainJob says."""

import json
import os
import socket
import subprocess

import pytest

from sightline.errors import DataError
from sightline.kubeflow import train_nodes
from sightline.kubeflow.client.cluster import Cluster
from tests.engine.several import make_job, run, seen, write_training_set
from tests.kubeflow.recorded import NAMESPACE, server_at
from tests.kubeflow.test_train_nodes import JOB, JOBS, POD, condition

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Trainer:
    """Kubeflow Trainer for one TrainJob: the nodes are programs."""

    def __init__(self):
        self.nodes = []

    def create(self, asked):
        spec = json.loads(asked.body)["spec"]["trainer"]
        variables = {one["name"]: one["value"] for one in spec["env"] if "value" in one}
        variables |= {
            "PET_NNODES": str(spec["numNodes"]),
            "PET_NPROC_PER_NODE": str(spec["numProcPerNode"]),
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": str(free_port()),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        self.nodes = [
            subprocess.Popen(spec["command"], env=os.environ | variables | {"PET_NODE_RANK": str(rank)})
            for rank in range(spec["numNodes"])
        ]
        return 201, {}, {}

    def look(self, asked):
        if not self.nodes:
            return 404, {"message": "not found"}, {}
        codes = [node.poll() for node in self.nodes]
        if any(codes):
            return 200, {"status": condition("Failed", reason="JobsFailed", message=str(codes))}, {}
        return 200, {"status": condition("Complete") if codes == [0] * len(codes) else {}}, {}

    def remove(self, asked):
        for node in self.nodes:
            node.terminate()
            node.wait()
        self.nodes = []
        return 200, {}, {}


@pytest.fixture
def on_two_nodes(server, monkeypatch):
    """Trains a job of :mod:`tests.engine.several` on two nodes with one process each."""
    trainer = Trainer()
    monkeypatch.setattr(train_nodes, "POLL_SECONDS", 0.2)
    server.say(f"GET /api/v1/namespaces/{NAMESPACE}/pods/run-1-train", POD)
    server.answers |= {f"POST {JOBS}": trainer.create, f"GET {JOB}": trainer.look, f"DELETE {JOB}": trainer.remove}
    cluster = Cluster(server_at(server.url), NAMESPACE)

    def train(job):
        train_nodes.run_train_job(cluster, "run-1-train", job.write(), job, 1)
        return job.checkpoints().read_state()

    yield train
    trainer.remove(None)


def test_two_nodes_compute_the_losses_of_one_process(on_two_nodes, tmp_path, caplog):
    source = write_training_set(tmp_path / "data")
    settings = {"batch_size": 5, "micro_batch": 1}
    caplog.set_level("INFO", "sightline.kubeflow")
    state = on_two_nodes(make_job(tmp_path / "two", source, nodes=2, **settings))
    assert state.iteration == 6
    assert any("6/6 loss" in message for message in caplog.messages)
    run(make_job(tmp_path / "one", source, **settings), 1)
    one, two = seen(tmp_path / "one", 1), seen(tmp_path / "two", 2)
    assert {number: batch for number, (batch, _) in two.items()} == {
        number: batch for number, (batch, _) in one.items()
    }
    for number, (_, losses) in two.items():
        assert losses == pytest.approx(one[number][1], rel=1e-5, abs=1e-5)


def test_an_error_on_the_second_node_ends_both(on_two_nodes, tmp_path):
    source = write_training_set(tmp_path / "data")
    trouble = {"kind": "data", "rank": 1, "iteration": 2}
    with pytest.raises(DataError, match="image 7 is broken"):
        on_two_nodes(make_job(tmp_path / "two", source, trouble, nodes=2, batch_size=5))
