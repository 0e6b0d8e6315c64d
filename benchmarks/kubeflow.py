"""``status`` of a run of 30 tasks, as whole command and as function; ``startup`` measures how long compiling takes.

The answers are those of a real Kubeflow, made wider (tests/kubeflow/recorded.py).  A server on this machine gives them,
each after the time that a network takes.  The peer of the function asks the same server for the run alone.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Figure, show
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.client.connection import Kubeflow
from sightline.kubeflow.client.pipelines_api import PipelinesApi
from sightline.kubeflow.runs.lookup import find_run
from sightline.kubeflow.watch.status import run_status
from tests.kubeflow.recorded import NAMESPACE, crowd, serve, server_at, write_kubeconfig
from tests.servers.answering import Answering, answering_server

ROOT = Path(__file__).parents[1]
TASKS, RUNS, TARGET_SECONDS = 30, 11, 1.5
LATENCY_SECONDS = 0.005


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    with answering_server() as server, tempfile.TemporaryDirectory() as folder:
        run_id = serve(server, crowd(TASKS))
        slow_down(server)
        place = server_at(server.url)
        kubeflow = Kubeflow(PipelinesApi(place, NAMESPACE), Cluster(place, NAMESPACE), server.url, NAMESPACE)
        count = len(run_status(kubeflow, find_run(kubeflow.api, run_id)).all_tasks())
        assert count == TASKS, count
        alone = median_seconds(lambda: find_run(kubeflow.api, run_id))
        function = median_seconds(lambda: run_status(kubeflow, find_run(kubeflow.api, run_id)))
        kubeconfig = write_kubeconfig(Path(folder) / "kubeconfig", server.url)
        command = median_seconds(lambda: status(run_id, server.url, kubeconfig))
        bare = median_seconds(lambda: subprocess.run([sys.executable, "-c", "import click, urllib3"], check=True))
    return [
        figure("pipeline.py status", command, f"bare interpreter, click, urllib3 {bare:.3f} s", bare / command),
        figure("run_status()", function, f"the run alone {alone:.3f} s", alone / function),
    ]


def slow_down(server: Answering) -> None:
    """Let every answer take the time of a network."""

    def after_a_while(given):
        def say(_):
            time.sleep(LATENCY_SECONDS)
            return given

        return say

    server.answers = {request: after_a_while(given) for request, given in server.answers.items()}


def status(run_id: str, host: str, kubeconfig: Path) -> None:
    command = [sys.executable, "pipeline.py", "status", run_id, "--host", host, "--namespace", NAMESPACE]
    command += ["--kubeconfig", str(kubeconfig)]
    said = subprocess.run(command, cwd=ROOT, env=os.environ, check=True, capture_output=True, text=True).stdout
    assert said.count("box_AP50 0.871") == TASKS - 1, said  # the one that was left out has none


def median_seconds(act: Callable[[], object]) -> float:
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def figure(name: str, seconds: float, peer: str, ratio: float) -> Figure:
    target = f"< {TARGET_SECONDS:g} s"
    title = f"{name} of {TASKS} tasks, median of {RUNS}"
    return Figure(title, f"{seconds:.3f} s", peer, ratio, target, seconds < TARGET_SECONDS)


if __name__ == "__main__":
    show("Kubeflow", measure())
