"""The nodes of a run: its drivers, tasks and containers, from the workflow or, if that is gone, from the API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sightline.kubeflow.client.document import Document
from sightline.kubeflow.runs.lookup import moment

Role = Literal["driver", "task", "executor"]
Phase = Literal["pending", "running", "succeeded", "failed", "skipped", "omitted"]

_PHASES: dict[str, Phase] = {
    "pending": "pending",
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "error": "failed",
    "skipped": "skipped",
    "omitted": "omitted",
    "canceling": "running",
    "canceled": "failed",
}
_EXECUTOR = re.compile(r"executor(\((?P<attempt>\d+)\))?")
_ITERATION = re.compile(r"iteration-iterations\((?P<index>\d+)")


@dataclass(frozen=True)
class Node:
    """One node of the workflow of a run.

    Attributes:
        path: Names of the groups around the task, and its own; only its own if the node is from the API.
        role: The driver that prepares the task, the task as a whole, or its container.
        phase: Its progress.
        node_id: Id for requesting the log of a container; empty if unknown.
        started: UTC; None if it has not started.
        finished: UTC; None if it has not ended.
        message: Why it waits or failed, as reported by the workflow.
        host: The cluster node on which it ran.
        exit_code: Exit code of a container that ended; empty if unknown.
        attempt: Number of the attempt of a container that is retried: 0, 1, ...; None for the node around the attempts.
        iteration: Iteration of a loop; empty outside a loop.
    """

    path: tuple[str, ...]
    role: Role
    phase: Phase
    node_id: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    message: str = ""
    host: str = ""
    exit_code: str = ""
    attempt: int | None = None
    iteration: str = ""


def nodes_of_workflow(workflow: Document) -> list[Node]:
    """The nodes of a workflow."""
    status = workflow.get("status") or {}
    found = []
    for node in (status.get("nodes") or {}).values():
        place = place_of(str(node.get("name", "")))
        if place is None:
            continue
        path, role, attempt, iteration = place
        exit_code = str((node.get("outputs") or {}).get("exitCode", ""))
        found.append(
            Node(
                path=path,
                role=role,
                phase=_PHASES.get(str(node.get("phase", "")).lower(), "pending"),
                node_id=str(node.get("id", "")) if node.get("type") == "Pod" else "",
                started=moment(node.get("startedAt")),
                finished=moment(node.get("finishedAt")),
                message=str(node.get("message", "")),
                host=str(node.get("hostNodeName", "")),
                exit_code=exit_code,
                attempt=attempt,
                iteration=iteration,
            )
        )
    return found


def place_of(node_name: str) -> tuple[tuple[str, ...], Role, int | None, str] | None:
    """The position of a node in the graph: path, role, attempt, iterations of the loops around it; None for the root.

    Example:
        >>> place_of("sightline-x7.root.exit-handler-1.train.executor(1)")
        (('exit-handler-1', 'train'), 'executor', 1, '')
        >>> place_of("p-x7.root.loop-1.iteration-iterations(2:2).iteration-item.step-driver")
        (('loop-1', 'step'), 'driver', None, '2')
    """
    parts = node_name.split(".")[2:]
    path: list[str] = []
    passes: list[str] = []
    role: Role = "task"
    attempt = None
    for part in parts:
        match = _ITERATION.match(part)
        executor = _EXECUTOR.fullmatch(part)
        if match:
            passes.append(match["index"])
        elif executor:
            role = "executor"
            attempt = int(executor["attempt"]) if executor["attempt"] else None
        elif part == "onExit":  # the exit task is next to the group for which it waits
            path[-1:] = []
        elif part in {"iteration-driver", "iteration-item-driver"}:
            return None
        elif part != "iteration-item":
            path.append(part)
    if not path or parts[-1] in {"iteration-item", "onExit"} or _ITERATION.match(parts[-1]):
        return None
    if role == "task" and path[-1].endswith("-driver"):
        path[-1] = path[-1].removesuffix("-driver")
        role = "driver"
    return tuple(path), role, attempt, "/".join(passes)


def nodes_of_run(run: Document) -> list[Node]:
    """The nodes as returned by the API: names without groups, no messages, no hosts."""
    found = []
    for detail in (run.get("run_details") or {}).get("task_details") or []:
        name = str(detail.get("display_name", ""))
        if not name or name in {"root", "root-driver"} or _EXECUTOR.fullmatch(name) or "iteration" in name:
            continue
        children = [str(child.get("pod_name", "")) for child in detail.get("child_tasks") or []]
        driver = name.endswith("-driver")
        phase = _PHASES.get(str(detail.get("state", "")).lower(), "pending")
        began, ended = moment(detail.get("start_time")), moment(detail.get("end_time"))
        if "state" not in detail and ended is not None:  # the API has no state for tasks that were left out
            phase = "omitted"
        found.append(
            Node(
                path=(name.removesuffix("-driver"),),
                role="driver" if driver else "task",
                phase=phase,
                node_id="" if driver or not children else children[0],
                started=began,
                finished=ended,
            )
        )
    return found
