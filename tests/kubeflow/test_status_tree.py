"""The states of tasks, from the nodes of the workflow or from the API alone; the tree as a person sees it."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from sightline.kubeflow.runs.graph import Vertex
from sightline.kubeflow.runs.lookup import read_run
from sightline.kubeflow.watch.log_lines import metrics_of
from sightline.kubeflow.watch.nodes import Node, nodes_of_run, nodes_of_workflow
from sightline.kubeflow.watch.status import RunStatus, pods_by_place
from sightline.kubeflow.watch.task_states import TaskStatus, build
from sightline.kubeflow.watch.text import status_text
from tests.kubeflow.test_runs import document

START = datetime(2026, 1, 1, tzinfo=UTC)
TRAIN = Vertex("train", "Train candidates", "task")


def node(role, phase, *, begin=0, end=None, path=("train",), **more):
    finished = None if end is None else START + timedelta(seconds=end)
    return Node(path, role, phase, started=START + timedelta(seconds=begin), finished=finished, **more)


DRIVEN = node("driver", "succeeded", end=3)


@pytest.mark.parametrize(
    ("nodes", "run_state", "state"),
    [
        ([], "running", "not yet"),
        ([], "failed", "not reached"),
        ([node("driver", "running")], "running", "preparing"),
        ([node("driver", "failed", end=3)], "failed", "failed"),
        # The container waits for a node, an image, a secret.
        ([DRIVEN, node("task", "running"), node("executor", "pending")], "running", "waiting"),
        ([DRIVEN, node("task", "running"), node("executor", "running")], "running", "running"),
        ([DRIVEN, node("task", "succeeded", begin=3, end=9), node("executor", "succeeded")], "running", "succeeded"),
        # A container that the driver found to be needless.
        ([DRIVEN, node("task", "succeeded", begin=3, end=3), node("executor", "skipped")], "running", "cached"),
        ([DRIVEN, node("task", "succeeded", begin=3, end=3)], "running", "cached"),
        ([DRIVEN, node("task", "failed", begin=3, end=9), node("executor", "failed")], "failed", "failed"),
        ([DRIVEN, node("task", "failed", begin=3, end=9), node("executor", "failed")], "stopped", "stopped"),
        ([DRIVEN, node("task", "failed", begin=3, end=9), node("executor", "failed")], "stopping", "stopped"),
        # The workflow ended before it looked at the task again.
        ([DRIVEN, node("task", "running"), node("executor", "running")], "stopped", "stopped"),
        ([DRIVEN, node("task", "skipped", begin=3, end=3)], "running", "skipped"),
        ([node("driver", "omitted", end=0), node("task", "omitted", end=0)], "failed", "not reached"),
    ],
)
def test_the_state_of_a_task(nodes, run_state, state):
    (task,) = build([TRAIN], nodes, run_state=run_state)
    assert task.state == state


def test_retries_host_and_message_are_those_of_the_last_attempt():
    attempts = [
        node("executor", "failed", begin=3, end=5, attempt=0, host="a", node_id="w-0", message="OOMKilled"),
        node("executor", "failed", begin=9, end=12, attempt=1, host="b", node_id="w-1", message="Error (exit code 3)"),
    ]
    frame = node("executor", "failed", begin=3, end=12, message="No more retries left")
    (task,) = build([TRAIN], [DRIVEN, node("task", "failed", begin=3, end=12), frame, *attempts], run_state="failed")
    assert (task.retries, task.host, task.node_id) == (1, "b", "w-1")
    assert "exit code 3" in task.reason
    assert (task.started, task.finished) == (START, START + timedelta(seconds=12))


def test_equal_names_in_two_groups_are_told_apart():
    groups = [Vertex(name, name, "group", inside=(TRAIN,)) for name in ("one", "two")]
    nodes = [
        node("task", "succeeded", end=9, path=("one", "train")),
        node("executor", "succeeded", end=9, path=("one", "train")),
        node("task", "failed", end=9, path=("two", "train")),
    ]
    one, two = build(groups, nodes, run_state="failed")
    assert [one.inside[0].state, two.inside[0].state] == ["succeeded", "failed"]


@pytest.mark.parametrize(("phase", "state"), [("skipped", "skipped"), ("omitted", "not reached")])
def test_what_is_in_a_group_that_was_left_out_was_left_out(phase, state):
    inner = Vertex("inner", "inner", "group", inside=(TRAIN,))
    left = [node("task", phase, end=0, path=("outer",))]
    (found,) = build([Vertex("outer", "outer", "condition", inside=(inner,))], left, run_state="stopping")
    assert [found.state, found.inside[0].state, found.inside[0].inside[0].state] == [state] * 3


def test_all_passes_of_a_loop_count():
    loop = Vertex("loop", "each", "loop", inside=(TRAIN,))
    passes = [
        node("task", phase, end=9, path=("loop", "train"), iteration=str(number))
        for number, phase in enumerate(("succeeded", "failed", "succeeded"))
    ]
    (found,) = build([loop], passes, run_state="failed")
    assert found.inside[0].state == "failed"


def workflow_node(name, phase, kind="Pod", **more):
    return {"id": name, "name": name, "type": kind, "phase": phase, "startedAt": "2026-01-01T00:00:00Z", **more}


def test_nodes_of_a_workflow():
    nodes = [
        workflow_node("p-x7", "Running", "DAG"),
        workflow_node("p-x7.root-driver", "Succeeded"),
        workflow_node("p-x7.root", "Running", "DAG"),
        workflow_node("p-x7.root.train-driver", "Succeeded"),
        workflow_node("p-x7.root.train", "Running", "DAG"),
        workflow_node("p-x7.root.train.executor", "Running", "Retry"),
        workflow_node("p-x7.root.train.executor(0)", "Error", hostNodeName="n1", message="pod deleted"),
        workflow_node("p-x7.root.train.executor(1)", "Running", hostNodeName="n2", outputs={"exitCode": "0"}),
        workflow_node("p-x7.root.loop.iteration-driver", "Succeeded"),
        workflow_node("p-x7.root.loop.iteration-iterations(1:1)", "Running", "DAG"),
        workflow_node("p-x7.root.loop.iteration-iterations(1:1).iteration-item", "Running", "DAG"),
        workflow_node("p-x7.root.loop.iteration-iterations(1:1).iteration-item.step", "Running", "DAG"),
    ]
    found = nodes_of_workflow({"status": {"nodes": {one["id"]: one for one in nodes}}})
    assert [(one.path, one.role, one.attempt, one.phase, one.host) for one in found] == [
        (("train",), "driver", None, "succeeded", ""),
        (("train",), "task", None, "running", ""),
        (("train",), "executor", None, "running", ""),
        (("train",), "executor", 0, "failed", "n1"),
        (("train",), "executor", 1, "running", "n2"),
        (("loop", "step"), "task", None, "running", ""),
    ]


def detail(name, state, start=0, end=9, children=()):
    return {
        "display_name": name,
        "state": state,
        "start_time": f"2026-01-01T00:00:{start:02}Z",
        "end_time": f"2026-01-01T00:00:{end:02}Z",
        "child_tasks": [{"pod_name": child} for child in children],
    }


def test_the_api_alone_is_enough_for_states_and_cache_hits():
    details = [
        detail("root", "RUNNING"),
        detail("train-driver", "SUCCEEDED"),
        detail("train", "SUCCEEDED", children=["w-7"]),
        detail("test-driver", "SUCCEEDED"),
        detail("test", "SUCCEEDED", 9, 9),
        detail("executor", "SUCCEEDED"),
    ]
    run = document() | {"run_details": {"task_details": details}}
    train, test = build([TRAIN, Vertex("test", "Test", "task")], nodes_of_run(run), run_state="running")
    assert (train.state, train.node_id) == ("succeeded", "w-7")
    assert test.state == "cached"


def test_the_last_pod_of_several_attempts_counts():
    def pod(name, time, node_name):
        annotations = {"workflows.argoproj.io/node-name": node_name}
        return {"metadata": {"name": name, "creationTimestamp": time, "annotations": annotations}}

    pods = [
        pod("b", "2026-01-01T00:00:09Z", "p.root.train.executor(1)"),
        pod("a", "2026-01-01T00:00:01Z", "p.root.train.executor(0)"),
        pod("d", "2026-01-01T00:00:00Z", "p.root.train-driver"),
    ]
    found = {place: one["metadata"]["name"] for place, one in pods_by_place(pods).items()}
    assert found == {(("train",), "executor"): "b", (("train",), "driver"): "d"}


@pytest.mark.parametrize(
    ("lines", "metrics"),
    [
        (["metrics: a=1", "12:00:00 INFO    metrics: box_AP50=0.871 EIR=0.93", "bye"],
         {"box_AP50": "0.871", "EIR": "0.93"}),
        (["the metrics: were good"], {}),
        ([], {}),
    ],
)  # fmt: skip
def test_metrics_stand_in_the_last_line_that_has_them(lines, metrics):
    assert metrics_of(lines) == metrics


OUT = "CUDA out of memory: tried to allocate 2.00 GiB, of which 1.44 GiB are free on this device"


def shown(width):
    tasks = (
        TaskStatus("resolve", "Resolve", "task", "succeeded", START, START + timedelta(seconds=12), "node-1"),
        TaskStatus("record", "Record dataset", "task", "cached"),
        TaskStatus(
            "train", "Train candidates", "task", "failed", START, START + timedelta(seconds=3725), "node-gpu-2", 2,
            "exit code 137: it used more memory than its limit (OOMKilled)", ("iteration 20", OUT),
        ),
        TaskStatus("g", "better", "condition", "not reached", inside=(
            TaskStatus("promote", "Promote", "task", "not reached"),)),
    )  # fmt: skip
    output = io.StringIO()
    console = Console(file=output, width=width, highlight=False, markup=False, emoji=False)
    status = RunStatus(read_run(document(state="FAILED")), "http://dash/#/runs/details/x", tasks, ("no cluster",))
    for part in status_text(status):
        console.print(part)
    return output.getvalue()


def test_a_tree_shows_what_is_inside_and_asks_nobody_to_open_it():
    (inside,) = (TaskStatus("record", "Record dataset", "task", "running", START),)
    group = TaskStatus("exit-handler-1", "Open me: record", "group", "running", START, inside=(inside,))
    output = io.StringIO()
    for part in status_text(RunStatus(read_run(document(state="RUNNING")), "", (group,), ())):
        Console(file=output, width=100).print(part)
    assert "├── > record " in output.getvalue().replace("└", "├")
    assert "Open me" not in output.getvalue()


def test_the_tree_reads_well_in_100_columns_and_has_no_colours_in_a_pipe():
    text = shown(100)
    lines = [line.rstrip() for line in text.splitlines()]
    assert "\x1b" not in text
    assert max(map(len, lines)) <= 100
    assert lines == [
        "failed  4f0c1a52  plates plates_ann_v1 20260101-000000  1 min 40 s",
        "├── + Resolve           succeeded           12 s  node-1",
        "├── = Record dataset    cached",
        "├── x Train candidates  failed        1 h 02 min  node-gpu-2  2 retries",
        "│     exit code 137: it used more memory than its limit (OOMKilled)",
        "│     | iteration 20",
        f"│     | {OUT}",
        "└──   better            not reached",
        "    └──   Promote       not reached",
        "note: no cluster",
    ]


def test_in_few_columns_reasons_and_logs_are_wrapped_below_their_beginning():
    lines = [line.rstrip() for line in shown(72).splitlines()]
    assert lines[3:9] == [
        "├── x Train candidates  failed        1 h 02 min  node-gpu-2  2 retries",
        "│     exit code 137: it used more memory than its limit (OOMKilled)",
        "│     | iteration 20",
        "│     | CUDA out of memory: tried to allocate 2.00 GiB, of which 1.44",
        "│       GiB are free on this device",
        "└──   better            not reached",
    ]
