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
"""The states of a task about which nothing is known."""

_USUAL = {"", "PodInitializing", "ContainerCreating"}


@dataclass(frozen=True)
class TaskStatus:
    """A task, or a group of tasks.

    Attributes:
        name: Its name in the graph.
        title: Its display name.
        kind: Task, condition, loop or group.
        state: Its progress; ``cached`` means that an earlier result was used.
        started: UTC.
        finished: UTC.
        host: The cluster node.
        retries: Number of retries.
        reason: Why it waits or failed.
        log: The last lines of its log, if it failed.
        metrics: The metrics at the end of its log.
        node_id: Id for requesting its log.
        pod: Its pod, if it still exists.
        image: Container image of a task.
        inside: Members of a group.
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
    """Combine the graph of a pipeline with the nodes of a run.

    Args:
        graph: The graph from the compiled text.
        nodes: The nodes from the workflow or from the API.
        run_state: State of the run: a task that had not started when the run ended will never start.
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
    """The tasks of a group that was left out, which have no nodes of their own."""
    return tuple(
        replace(task, state=state, inside=_left_out(task.inside, state)) if task.state in _UNSAID else task
        for task in tasks
    )


def _state(vertex: Vertex, own: Sequence[Node], run_state: str) -> State:
    """The state of a task or group from its own nodes; the iterations of a loop are combined."""
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
    """Whether the container never ran; in the API, which has no containers, such a task has a duration of zero."""
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
