"""The status of a run, task by task: the graph of its pipeline, with data from the workflow, pods and logs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from sightline.errors import KubeflowError, NotThereError
from sightline.kubeflow.capacity import ClusterNode, read_nodes
from sightline.kubeflow.client.cluster import NODE_ANNOTATION
from sightline.kubeflow.client.connection import Kubeflow
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.runs.graph import Vertex, read_graph, split_spec
from sightline.kubeflow.runs.lookup import Run
from sightline.kubeflow.runs.lost_pods import lost_tasks
from sightline.kubeflow.runs.submit import version_of
from sightline.kubeflow.watch.log_lines import exit_status, metrics_of, own_lines
from sightline.kubeflow.watch.nodes import nodes_of_run, nodes_of_workflow, place_of
from sightline.kubeflow.watch.task_states import TaskStatus, build, tasks_of
from sightline.kubeflow.watch.waiting import Reason, image_lacks, why_ended, why_waiting
from sightline.kubeflow.watch.waiting_for_node import unscheduled, why_no_node

TAIL_LINES = 6
_LINES = 400
"""Number of log lines that are read: Kubeflow's launcher writes up to some hundred after the last line of the task."""

_THREADS = 8
_EXIT_CODE = re.compile(r"(main: )?(Error|OOMKilled) \(exit code \d+\)")

Result = TypeVar("Result")


@dataclass(frozen=True)
class RunStatus:
    """A run and its tasks.

    Attributes:
        run: The run.
        link: Its page in the dashboard; empty if the address of the dashboard is unknown.
        tasks: The graph, in order.
        notes: What could not be determined.
    """

    run: Run
    link: str
    tasks: tuple[TaskStatus, ...]
    notes: tuple[str, ...] = ()

    def all_tasks(self) -> list[TaskStatus]:
        """Every task, without the groups."""
        return [task for part in self.tasks for task in part.tasks()]


def run_status(kubeflow: Kubeflow, run: Run, graph: tuple[Vertex, ...] | None = None) -> RunStatus:
    """Read the status of a run.

    Args:
        kubeflow: The Kubeflow to use.
        run: The run, read just now.
        graph: Its graph, if it is already known.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        asked_graph = pool.submit(lambda: graph or run_graph(kubeflow, run))
        cluster = kubeflow.cluster
        asked_workflow = pool.submit(_quietly, lambda: cluster.workflow(run.run_id) if cluster else None, None)
        asked_pods = pool.submit(_quietly, lambda: cluster.pods(run.run_id) if cluster else [], [])
        workflow, no_workflow = asked_workflow.result()
        pods, no_pods = asked_pods.result()
        nodes = nodes_of_workflow(workflow) if workflow else nodes_of_run(run.document)
        tasks = build(asked_graph.result(), nodes, run_state=run.state)
        by_place = pods_by_place(pods)
        nodes_once = cache(lambda: _nodes(kubeflow))
        looked = list(pool.map(lambda task: _looked_at(kubeflow, run, task, by_place, nodes_once), tasks_of(tasks)))
    notes = {note for note in (no_workflow, no_pods) if note}
    if not any(task.started for _, task in tasks_of(tasks)):
        # The driver of the whole run waits, not a task.
        notes |= {f"no task can start: {reason}" for pod in pods if (reason := _why_waiting(pod, (), nodes_once))}
    if run.state == "failed" and workflow and (lost := lost_tasks(workflow)):
        names = ", ".join(entry.partition(":")[0] for entry in lost)
        notes.add(
            f"pods were lost ({names}), not because of an error in the run: python pipeline.py resume {run.run_id[:8]}"
        )
    if cluster is not None and workflow is None and not no_workflow and not run.ended:
        notes.add(
            f"namespace {cluster.namespace} has no workflow of this run; set the run's namespace with --namespace"
        )
    if cluster is None:
        notes.add("the cluster cannot be reached from here (KUBECONFIG), so it is unknown why tasks wait")
    return RunStatus(run, kubeflow.run_link(run.run_id), _replaced(tasks, iter(looked)), tuple(sorted(notes)))


def run_graph(kubeflow: Kubeflow, run: Run) -> tuple[Vertex, ...]:
    """The graph of a run's pipeline."""
    brought = run.document.get("pipeline_spec")
    if brought:
        return read_graph(*split_spec(brought), run.parameters)
    return version_of(kubeflow.api, run).graph(run.parameters)


def pods_by_place(pods: Iterable[Document]) -> dict[tuple[tuple[str, ...], str], Document]:
    """Path and role -> pod; the last one of several attempts or iterations."""
    found: dict[tuple[tuple[str, ...], str], Document] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", ""))):
        place = place_of(str((pod["metadata"].get("annotations") or {}).get(NODE_ANNOTATION, "")))
        if place:
            found[place[0], place[1]] = pod
    return found


def _looked_at(
    kubeflow: Kubeflow,
    run: Run,
    placed: tuple[tuple[str, ...], TaskStatus],
    pods: Mapping[tuple[tuple[str, ...], str], Document],
    nodes_once: Callable[[], Sequence[ClusterNode]],
) -> TaskStatus:
    """A task with the data from its pod and log."""
    path, task = placed
    pod = pods.get((path, "executor"))
    if task.state in {"not yet", "not reached", "skipped", "cached"}:
        return task
    if task.state in {"preparing", "waiting", "running"}:
        if task.state == "preparing":
            pod = pods.get((path, "driver"))
        return _waiting(kubeflow, task, pod, nodes_once) if pod else task
    ended = why_ended(pod) if pod is not None and task.state in {"failed", "stopped"} else ""
    task = replace(task, pod=str(pod["metadata"]["name"])) if pod is not None else task
    lines = _tail(kubeflow, run, task)
    if task.state not in {"failed", "stopped"}:
        return replace(task, metrics=metrics_of(lines))
    status = exit_status(lines)
    reason = f"exit code {status}" if status and ended in {"", "exit code 1"} else _joined(ended, task.reason)
    lacks = image_lacks(task.image, [*lines, reason])
    reason = f"{reason}: {lacks}" if lacks else reason
    own = tuple(list(own_lines(lines))[-TAIL_LINES:]) if task.state == "failed" else ()
    return replace(task, reason=reason, log=own)


def _waiting(
    kubeflow: Kubeflow, task: TaskStatus, pod: Document, nodes_once: Callable[[], Sequence[ClusterNode]]
) -> TaskStatus:
    name = str(pod["metadata"]["name"])
    host = str((pod.get("spec") or {}).get("nodeName") or "")
    cluster = kubeflow.cluster
    if (pod.get("status") or {}).get("phase") != "Pending" or cluster is None:
        return replace(task, pod=name, host=host)
    none: list[Document] = []
    events, _ = _quietly(lambda: cluster.events("Pod", name), none)
    reason = str(_why_waiting(pod, events, nodes_once) or task.reason)
    # A pod that starts normally does not wait for anything.
    return replace(task, pod=name, host=host, state="waiting" if reason else "preparing", reason=reason)


def _why_waiting(
    pod: Document, events: Sequence[Document], nodes_once: Callable[[], Sequence[ClusterNode]]
) -> Reason | None:
    """Why a pod waits; if it waits for a node, whether it will ever find one."""
    by_size = why_no_node(pod, nodes_once()) if unscheduled(pod) else None
    return by_size or why_waiting(pod, events)


def _nodes(kubeflow: Kubeflow) -> list[ClusterNode]:
    """The nodes of the cluster; empty without permission to list them."""
    cluster = kubeflow.cluster
    none: list[Document] = []
    return read_nodes(_quietly(cluster.nodes, none)[0]) if cluster else []


def _tail(kubeflow: Kubeflow, run: Run, task: TaskStatus) -> list[str]:
    """The last lines of a task's log; once the pod is gone, only of a failed task, because the entire log is read."""
    cluster = kubeflow.cluster
    none: list[str] = []
    if cluster and task.pod:
        return _quietly(lambda: list(cluster.log_lines(task.pod, tail=_LINES)), none)[0]
    if task.state == "failed" and task.node_id:
        return _quietly(lambda: list(kubeflow.api.log_lines(run.run_id, task.node_id))[-_LINES:], none)[0]
    return none


def _quietly(ask: Callable[[], Result], otherwise: Result) -> tuple[Result, str]:
    """The result of a request, or ``otherwise`` and the reason for its failure."""
    try:
        return ask(), ""
    except NotThereError:
        return otherwise, ""
    except KubeflowError as error:
        return otherwise, str(error)


def _replaced(tasks: Iterable[TaskStatus], looked: Iterable[TaskStatus]) -> tuple[TaskStatus, ...]:
    """The tree with its leaves replaced, in the same order."""
    leaves = iter(looked)
    return tuple(
        next(leaves) if task.kind == "task" else replace(task, inside=_replaced(task.inside, leaves)) for task in tasks
    )


def _joined(ended: str, message: str) -> str:
    """Both texts, unless one contains the other."""
    if not ended or not message or _EXIT_CODE.fullmatch(message):
        return ended or message
    return ended if message in ended else f"{ended} ({message})"
