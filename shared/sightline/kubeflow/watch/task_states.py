"""The states of tasks: the graph of a pipeline, with data from the nodes of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from sightline.kubeflow.runs.graph import Kind, Vertex
from sightline.kubeflow.watch.nodes import Node
from sightline.kubeflow.watch.waiting import known_cause

State = Literal[
    "not yet", "preparing", "waiting", "running", "succeeded", "cached", "failed", "stopped", "skipped", "not reached"
]

_UNSAID = {"not yet", "not reached"}
"""The states of a task that nothing is known of."""

_USUAL = {"", "PodInitializing", "ContainerCreating"}


@dataclass(frozen=True)
class TaskStatus:
    """A task, or a group of tasks.

    Attributes:
        name: Its name in the graph.
        title: Its display name.
        kind: Task, condition, loop or group.
        state: How far it is; ``cached`` took an earlier result.
        started: UTC.
        finished: UTC.
        host: The cluster node.
        retries: How often it was started again.
        reason: Why it waits or failed.
        log: Its last lines, where it failed.
        metrics: The numbers that its log ends with.
        node_id: What its log is asked by.
        pod: Its pod, where that is still there.
        image: Of a task: its container image.
        inside: Of a group: what is in it.
    """

    name: str
    title: str
    kind: Kind
    state: State
    started: datetime | None = None
    finished: datetime | None = None
    host: str = ""
    retries: int = 0
    reason: str = ""
    log: tuple[str, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    node_id: str = ""
    pod: str = ""
    image: str = ""
    inside: tuple[TaskStatus, ...] = ()

    def tasks(self) -> list[TaskStatus]:
        """This task, or all tasks of this group."""
        return [self] if self.kind == "task" else [task for part in self.inside for task in part.tasks()]


def build(graph: Sequence[Vertex], nodes: Sequence[Node], *, run_state: str) -> tuple[TaskStatus, ...]:
    """Put the nodes of a run into the graph of its pipeline.

    Args:
        graph: From the compiled text.
        nodes: From the workflow, or from the API alone.
        run_state: Of the whole run: what never began in a run that has ended never will.
    """
    with_paths = any(len(node.path) > 1 for node in nodes)
    return tuple(_filled(vertex, (), nodes, run_state, with_paths=with_paths) for vertex in graph)


def _filled(
    vertex: Vertex, around: tuple[str, ...], nodes: Sequence[Node], run_state: str, *, with_paths: bool
) -> TaskStatus:
    path = (*around, vertex.name)
    own = [node for node in nodes if (node.path == path if with_paths else node.path[-1] == vertex.name)]
    inside = tuple(_filled(part, path, nodes, run_state, with_paths=with_paths) for part in vertex.inside)
    state = _state(vertex, own, run_state)
    if state in {"skipped", "not reached"}:
        inside = _left_out(inside, state)
    starts = [node.started for node in own if node.started]
    ends = [node.finished for node in own if node.finished and node.role != "driver"]
    attempts = [node for node in own if node.role == "executor" and node.attempt is not None]
    containers = [node for node in own if node.node_id and node.role != "driver"]
    last = max(containers, key=_attempt, default=None)
    failed = [node for node in own if node.phase == "failed" and node.message]
    pending = [node for node in own if node.phase == "pending" and node.message not in _USUAL]
    messages = failed if state == "failed" else pending
    return TaskStatus(
        name=vertex.name,
        title=vertex.title,
        kind=vertex.kind,
        state=state,
        started=min(starts, default=None),
        finished=max(ends, default=None) if state not in {"running", "waiting", "preparing"} else None,
        host=last.host if last else "",
        retries=max(0, len(attempts) - 1),
        reason=_message(messages[-1].message) if messages and state in {"failed", "waiting", "preparing"} else "",
        node_id=last.node_id if last else "",
        image=vertex.image,
        inside=inside,
    )


def _left_out(tasks: tuple[TaskStatus, ...], state: State) -> tuple[TaskStatus, ...]:
    """What is in a group that was left out was left out too, though no node says so."""
    return tuple(
        replace(task, state=state, inside=_left_out(task.inside, state)) if task.state in _UNSAID else task
        for task in tasks
    )


def _state(vertex: Vertex, own: Sequence[Node], run_state: str) -> State:
    """The state of a task or group from its own nodes; those of several passes of a loop together."""
    ended = run_state in {"succeeded", "failed", "stopped"}
    frames = [node for node in own if node.role == "task"]
    containers = [node for node in own if node.role == "executor"]
    phases = {node.phase for node in frames}
    drivers = {node.phase for node in own if node.role == "driver"}
    state: State
    if "failed" in phases | drivers or (ended and phases & {"running", "pending"}):
        state = "stopped" if run_state in {"stopped", "stopping"} else "failed"
    elif phases & {"running", "pending"}:
        tried = [node for node in containers if node.attempt is not None] or containers
        waits = "running" not in phases or (tried and max(tried, key=_attempt).phase == "pending")
        state = "waiting" if waits and vertex.kind == "task" else "running"
    elif phases in ({"skipped"}, {"omitted"}):
        state = "skipped" if phases == {"skipped"} else "not reached"
    elif phases:
        state = "cached" if vertex.kind == "task" and _cached(frames, containers) else "succeeded"
    elif ended:
        state = "not reached"
    else:
        state = "preparing" if drivers else "not yet"
    return state


def _attempt(node: Node) -> int:
    return node.attempt or 0


def _cached(frames: Sequence[Node], containers: Sequence[Node]) -> bool:
    """A task whose container never ran; the API, which has no containers, shows it by a time of nothing."""
    if containers:
        return all(node.phase in {"skipped", "omitted"} for node in containers)
    return all(node.started == node.finished for node in frames if node.phase == "succeeded")


def tasks_of(tasks: Iterable[TaskStatus], around: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], TaskStatus]]:
    """Every task with its path, without the groups."""
    found = []
    for task in tasks:
        path = (*around, task.name)
        found += [(path, task)] if task.kind == "task" else tasks_of(task.inside, path)
    return found


def _message(text: str) -> str:
    return str(known_cause(text) or text)
