"""The nodes of a run: what the workflow, or where that is gone the API, knows of each driver, task and container."""

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
    """One node of the workflow behind a run.

    Attributes:
        path: Names of the groups around the task, and its own; from the API alone only its own.
        role: The driver that prepares the task, the task as a whole, or its container.
        phase: How far it is.
        node_id: What the log of a container is asked by; empty where unknown.
        started: UTC; None before.
        finished: UTC; None before.
        message: Why it waits or failed, in the workflow's words.
        host: The cluster node that it ran on.
        exit_code: Of a container that ended; empty where unknown.
        attempt: Of a container that is retried: 0, 1, ...; None for the frame around the attempts.
        iteration: Which pass of a loop; empty outside.
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
    """Where a node stands in the graph: path, role, attempt, passes of the loops around it; None for the root.

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
        elif part == "onExit":  # the exit task stands beside the group that it waits for
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
    """The nodes as the API has them: names without their groups, no messages, no hosts."""
    found = []
    for detail in (run.get("run_details") or {}).get("task_details") or []:
        name = str(detail.get("display_name", ""))
        if not name or name in {"root", "root-driver"} or _EXECUTOR.fullmatch(name) or "iteration" in name:
            continue
        children = [str(child.get("pod_name", "")) for child in detail.get("child_tasks") or []]
        driver = name.endswith("-driver")
        phase = _PHASES.get(str(detail.get("state", "")).lower(), "pending")
        began, ended = moment(detail.get("start_time")), moment(detail.get("end_time"))
        if "state" not in detail and ended is not None:  # the API has no word for what was left out
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
