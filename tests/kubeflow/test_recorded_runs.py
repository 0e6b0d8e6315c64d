"""Runs of the story (tests/kubeflow/tiny.py) as a real Kubeflow Pipelines 2.17 with Argo 4.0 described them."""

from dataclasses import replace

import pytest

from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.runs.graph import read_graph, split_spec
from sightline.kubeflow.runs.lookup import find_run, read_run
from sightline.kubeflow.runs.lost_pods import lost_tasks
from sightline.kubeflow.watch.nodes import nodes_of_run, nodes_of_workflow
from sightline.kubeflow.watch.status import pods_by_place, run_status
from sightline.kubeflow.watch.task_states import build, tasks_of
from sightline.kubeflow.watch.waiting import why_ended, why_waiting
from tests.kubeflow.recorded import NAMESPACE, answer, serve

LEFT = ("small", "small-2", "small-3")
NOT_REACHED = dict.fromkeys(LEFT, "not reached")
STATES = {
    "finished": {"resolve": "succeeded", "work": "succeeded", "small": "succeeded", "small-2": "skipped",
                 "small-3": "succeeded", "finish": "succeeded"},
    "failed": {"resolve": "succeeded", "work": "failed", "finish": "succeeded"} | NOT_REACHED,
    "stopped": {"resolve": "succeeded", "work": "stopped", "finish": "succeeded"} | NOT_REACHED,
    "lost": {"resolve": "failed", "work": "not reached", "finish": "succeeded"} | NOT_REACHED,
    # Its node went down while two drivers ran, and came back a quarter of an hour later.
    "node_gone": {"resolve": "succeeded", "work": "succeeded", "small": "not reached", "small-2": "not reached",
                  "small-3": "cached", "finish": "succeeded"},
    "waiting_secret": {"resolve": "succeeded", "work": "waiting", "finish": "not yet"} | dict.fromkeys(LEFT, "not yet"),
    "waiting_image": {"resolve": "waiting", "work": "not yet", "finish": "not yet"} | dict.fromkeys(LEFT, "not yet"),
}  # fmt: skip


def tree(name, nodes, document):
    run = read_run(document["run"])
    graph = read_graph(*split_spec(answer("version")["pipeline_spec"]), run.parameters)
    return build(graph, nodes, run_state=run.state)


def states(tasks):
    return {task.name: task.state for _, task in tasks_of(tasks)}


@pytest.mark.parametrize("name", STATES)
def test_states_by_the_workflow(name):
    document = answer(name)
    assert states(tree(name, nodes_of_workflow(document["workflow"]), document)) == STATES[name]


@pytest.mark.parametrize("name", ["finished", "failed", "stopped", "lost", "node_gone"])
def test_the_api_alone_says_the_same_when_the_workflow_is_gone(name):
    document = answer(name)
    assert states(tree(name, nodes_of_run(document["run"]), document)) == STATES[name]


@pytest.mark.parametrize(
    ("name", "state"), [("finished", "succeeded"), ("failed", "failed"), ("stopped", "stopped"), ("lost", "failed")]
)
def test_how_the_run_ended(name, state):
    assert read_run(answer(name)["run"]).state == state


def test_the_retried_task():
    (work,) = (
        task
        for _, task in tasks_of(tree("failed", nodes_of_workflow(answer("failed")["workflow"]), answer("failed")))
        if task.name == "work"
    )
    assert (work.retries, work.host) == (1, "node-1")
    assert (work.finished - work.started).total_seconds() == 32


@pytest.mark.parametrize(
    ("name", "task", "says"),
    [
        ("waiting_secret", "work", "secret no-such is missing; create it; the task then starts automatically"),
        ("waiting_claim", "work", "volume claim no-such-claim is missing"),
        ("waiting_image", "resolve", "image localhost/none:1 cannot be pulled"),
    ],
)
def test_why_a_pod_waits(name, task, says):
    document = answer(name)
    pod = pods_by_place(document["pods"])[("exit-handler-1", task), "executor"]
    assert says in str(why_waiting(pod, document["events"].get(pod["metadata"]["name"], [])))


@pytest.mark.parametrize(("name", "says"), [("failed", "exit code 1"), ("stopped", "exit code 143")])
def test_how_a_pod_ended(name, says):
    pod = pods_by_place(answer(name)["pods"])[("exit-handler-1", "work"), "executor"]
    assert why_ended(pod) == says


@pytest.mark.parametrize(
    ("name", "lost"),
    [("lost", ["resolve"]), ("node_gone", ["condition-3-driver", "condition-2-driver"]), ("failed", []),
     ("finished", [])],
)  # fmt: skip
def test_which_pods_were_lost(name, lost):
    assert [entry.partition(":")[0] for entry in lost_tasks(answer(name)["workflow"])] == lost


def test_an_image_without_sightline_is_named(server, kubeflow):
    """The pipeline of Sightline itself, with --param base_image=localhost/python-kfp:dev."""
    status = served(server, kubeflow, answer("no_sightline"))
    resolve = next(task for task in status.all_tasks() if task.name == "resolve")
    assert resolve.reason.startswith("exit code 1: image localhost/python-kfp:dev has no Sightline in it; build it")
    assert "No module named 'sightline_bootstrap'" in resolve.log[-1]


def test_a_pod_that_waits_for_something_is_told_from_one_that_starts(server, kubeflow):
    def work(recorded):
        return next(task for task in served(server, kubeflow, recorded).all_tasks() if task.name == "work")

    recorded = answer("waiting_secret")
    assert (work(recorded).state, work(recorded).reason[:24]) == ("waiting", "secret no-such is missin")
    (pod,) = (pod for pod in recorded["pods"] if pod["status"]["phase"] == "Pending")
    pod["status"]["containerStatuses"] = [
        {"name": "main", "image": "x:1", "state": {"waiting": {"reason": "PodInitializing"}}}
    ]
    recorded["events"] = {}
    for node in recorded["workflow"]["status"]["nodes"].values():
        node["message"] = "PodInitializing" if node["phase"] == "Pending" else ""
    assert (work(recorded).state, work(recorded).reason) == ("preparing", "")


def test_lost_pods_are_said_to_be_no_fault_of_the_run(server, kubeflow):
    status = served(server, kubeflow, answer("node_gone"))
    assert status.notes == (
        "pods were lost (condition-3-driver, condition-2-driver), not because of an error in the run: python "
        "pipeline.py resume 7b70b6b4",
    )


def served(server, kubeflow, recorded):
    """The status of a recorded run, asked of a server that says what the real one said."""
    run = find_run(kubeflow.api, serve(server, recorded))
    return run_status(replace(kubeflow, cluster=Cluster(kubeflow.api.server, NAMESPACE)), run)
