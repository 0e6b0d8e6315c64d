"""Runs: found, told apart, resumed, stopped, waited for."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sightline.errors import NotThereError, TakenError
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.runs.launch import MAX_RESUMES, wait
from sightline.kubeflow.runs.lookup import find_run, read_run, resume, stop
from sightline.kubeflow.runs.lost_pods import lost_tasks
from tests.golden import raises

RUNS = "/apis/v2beta1/runs"
FIRST, SECOND = "4f0c1a52-0000-4000-8000-000000000001", "4f0c9b13-0000-4000-8000-000000000002"


def document(run_id=FIRST, name="plates plates_ann_v1 20260101-000000", state="RUNNING", history=()):
    return {
        "run_id": run_id,
        "display_name": name,
        "state": state,
        "created_at": "2026-01-01T00:00:00Z",
        "finished_at": "1970-01-01T00:00:00Z" if state == "RUNNING" else "2026-01-01T00:01:40Z",
        "state_history": [{"state": one} for one in history],
        "experiment_id": "e1",
    }


@pytest.fixture
def runs(server):
    """Two runs whose ids begin alike."""
    there = [document(), document(SECOND, "plates plates_ann_v2 20260102-000000", "SUCCEEDED")]

    def listed(asked):
        found = there
        for predicate in json.loads(asked.query.get("filter", "{}")).get("predicates", []):
            key, value = predicate["key"], predicate["string_value"]
            equal = predicate["operation"] == "EQUALS"
            found = [run for run in found if (run[key] == value if equal else value in run[key])]
        return 200, {"runs": found[: int(asked.query["page_size"])]}, {}

    server.answers[f"GET {RUNS}"] = listed
    for run in there:
        server.say(f"GET {RUNS}/{run['run_id']}", run)
    return there


@pytest.mark.parametrize("name", [FIRST, "4f0c1", "plates plates_ann_v1 20260101-000000", ""])
def test_a_run_is_found(runs, api, name):
    assert find_run(api, name).run_id == FIRST


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("4f0c", "2 runs match '4f0c'"),
        ("0000", "'0000'"),  # in the middle of both
        ("no such", "'no such'"),
        ("4f0c1a52-0000-4000-8000-000000000009", "4f0c1a52-0000-4000-8000-000000000009"),
    ],
)
def test_a_run_is_not_found(runs, api, name, token):
    with raises(NotThereError, token):
        find_run(api, name)


def test_there_is_no_run_yet(server, api):
    server.say(f"GET {RUNS}", {})
    with raises(NotThereError, "python pipeline.py run"):
        find_run(api)


@pytest.mark.parametrize(
    ("state", "history", "told"),
    [
        ("FAILED", ["RUNNING", "FAILED"], "failed"),
        ("FAILED", ["RUNNING", "CANCELING", "FAILED"], "stopped"),
        # Stopped, resumed, then failed by itself.
        ("FAILED", ["RUNNING", "CANCELING", "FAILED", "RUNNING", "FAILED"], "failed"),
        ("CANCELING", ["RUNNING", "CANCELING"], "stopping"),
        ("SUCCEEDED", ["RUNNING", "SUCCEEDED"], "succeeded"),
        ("RUNTIME_STATE_UNSPECIFIED", [], "pending"),
    ],
)
def test_stopped_is_told_from_failed(state, history, told):
    assert read_run(document(state=state, history=history)).state == told


def test_times():
    assert read_run(document(state="SUCCEEDED")).seconds == 100
    assert read_run(document()).finished is None


@pytest.mark.parametrize(
    ("state", "act", "token"),
    [
        ("SUCCEEDED", resume, "rerun"),
        ("RUNNING", resume, "running"),
        ("FAILED", stop, "failed"),
    ],
)
def test_what_the_state_forbids(api, server, state, act, token):
    with raises(TakenError, FIRST, token):
        act(api, read_run(document(state=state)))
    assert not server.asked


def test_a_run_that_kubeflow_does_not_resume(api, server):
    server.say(f"POST {RUNS}/{FIRST}:retry", {"message": "cannot retry"}, 409)
    with raises(TakenError, "rerun", "cannot retry"):
        resume(api, read_run(document(state="FAILED")))


def workflow(*messages):
    nodes = {
        str(number): {"type": "Pod", "phase": "Failed", "name": f"w.root.task-{number}.executor", "message": message}
        for number, message in enumerate(messages)
    }
    return {"status": {"nodes": nodes}}


LOST = (
    "pod deleted",  # evicted by the API, preempted, drained; its node left the cluster
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51Mi.",
    "The node had condition: [DiskPressure].",
    "Pod was terminated in response to imminent node shutdown.",
    "Pod was rejected as the node is shutting down.",
    "Pod Node is in progress of shutting down, not admitting any new pods",
    "Pod was rejected: Predicate NodeAffinity failed",
    "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices "
    "nvidia.com/gpu, which is unexpected",
    "Preempted in order to admit critical pod",
    "Node gpu-2 which was running pod sightline-x7-1 is unresponsive",
    "main: ContainerStatusUnknown (exit code 137): The container could not be located when the pod was terminated",
    "main: Error (exit code 143)",
    "init: StartError (exit code 128): failed to create containerd task",
    'wait: Error (exit code 64): Post "https://10.96.0.1:443/...": net/http: TLS handshake timeout',
)
"""What the kubelet, the cluster and Argo say of pods that were taken away."""


@pytest.mark.parametrize(
    ("messages", "lost"),
    [
        (["Error (exit code 3)"], False),
        (["OOMKilled (exit code 137)"], False),
        # Its own time was up.
        (["Pod was active on the node longer than the specified deadline"], False),
        # It wrote more than it may: it would again.
        (["Pod ephemeral local storage usage exceeds the total limit of containers 2Gi."], False),
        # One was lost, but another failed by itself, and would again.
        (["pod deleted", "Error (exit code 1)"], False),
        ([], False),
        *(([message], True) for message in LOST),
    ],
)
def test_which_pods_were_lost(messages, lost):
    assert lost_tasks(workflow(*messages)) == ([f"task-0: {messages[0]}"] if lost else [])


def attempts(*messages):
    """A task that was tried again until it succeeded, and one that was lost."""
    document = workflow("pod deleted")
    for number, message in enumerate([*messages, ""]):
        phase = "Failed" if message else "Succeeded"
        node = {"type": "Pod", "phase": phase, "name": f"w.root.train.executor({number})", "message": message}
        document["status"]["nodes"][f"attempt-{number}"] = node
    return document


def test_an_attempt_that_was_mended_by_the_next_does_not_count():
    assert lost_tasks(attempts("Error (exit code 1)")) == ["task-0: pod deleted"]
    failed = attempts("Error (exit code 1)")
    failed["status"]["nodes"]["attempt-1"].update(phase="Failed", message="Error (exit code 1)")
    assert lost_tasks(failed) == []


class Losing:
    """A run that loses a pod each time it is begun, until it does not."""

    def __init__(self, server, losses, finished=None):
        self.left, self.begun = losses, 1
        self.finished = finished or datetime.now(UTC).isoformat()
        server.answers[f"GET {RUNS}/{FIRST}"] = self.look
        server.answers[f"POST {RUNS}/{FIRST}:retry"] = self.retry
        server.say("GET /apis/argoproj.io/v1alpha1/namespaces/team/workflows", {"items": [workflow("pod deleted")]})

    def look(self, asked):
        finished = {"finished_at": self.finished}
        return 200, document(state="FAILED" if self.left else "SUCCEEDED") | finished, {}

    def retry(self, asked):
        self.left -= 1
        self.begun += 1
        return 200, {}, {}


@pytest.mark.parametrize(("losses", "state"), [(1, "succeeded"), (MAX_RESUMES, "succeeded"), (9, "failed")])
def test_a_run_that_loses_pods_is_resumed_a_few_times(server, kubeflow, losses, state):
    losing = Losing(server, losses)
    seen = []
    there = replace(kubeflow, cluster=Cluster(kubeflow.api.server, "team"))
    run = wait(there, read_run(document()), lambda run: seen.append(run.state), poll_seconds=0.01)
    assert (run.state, losing.begun) == (state, 1 + min(losses, MAX_RESUMES))
    assert seen[-1] == state


def test_two_who_watch_a_run_do_not_stumble_over_each_other(server, kubeflow):
    """Each sees that its pod was lost; the second to resume it is refused, for it runs already."""
    losing = Losing(server, 1)
    retry = losing.retry

    def too_late(asked):
        retry(asked)
        return 409, {"message": "Run is not in a finished state and can't be retried"}, {}

    server.answers[f"POST {RUNS}/{FIRST}:retry"] = too_late
    there = replace(kubeflow, cluster=Cluster(kubeflow.api.server, "team"))
    assert wait(there, read_run(document()), lambda run: None, poll_seconds=0.01).state == "succeeded"


def test_a_run_that_failed_long_ago_is_only_looked_at(server, kubeflow):
    losing = Losing(server, 1, finished="2026-01-01T00:00:00Z")
    there = replace(kubeflow, cluster=Cluster(kubeflow.api.server, "team"))
    assert wait(there, read_run(document()), lambda run: None, poll_seconds=0.01).state == "failed"
    assert losing.begun == 1
