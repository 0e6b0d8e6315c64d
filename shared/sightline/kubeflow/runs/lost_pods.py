"""Tasks of a run that failed because their pods were lost, not because of an error in the task."""

from __future__ import annotations

import re

from sightline.kubeflow.client.document import Document

_LOST = re.compile(
    # The pod was deleted or preempted, or its node left the cluster.
    r"^pod deleted"
    # The node is full, shuts down, or rejected the pod that was assigned to it.
    r"|^The node (was low on resource|had condition)|imminent node shutdown|node is (in progress of )?shutting down"
    r"|^Pod was rejected|UnexpectedAdmissionError|Allocate failed|^Preempted"
    # The node stopped responding, or came back without its containers.
    r"|is unresponsive|could not be located when the pod was"
    # SIGTERM, which a pod receives when it is evicted.
    r"|\(exit code 143\)"
    # Argo's own containers, which are only reported if the container of the task did not fail.
    r"|^(init|wait): ",
    re.IGNORECASE,
)
"""Messages of a workflow node: that of the pod if it has one, otherwise that of its first failed container."""

_ATTEMPT = re.compile(r"(?P<task>.*\.executor)\((?P<number>\d+)\)")


def lost_tasks(workflow: Document) -> list[str]:
    """What was lost, as ``task: message``; empty if a task failed on its own, because then resuming would not help.

    Of a task with several attempts, the last one counts.

    Args:
        workflow: The Argo workflow of the run.
    """
    last: dict[str, tuple[int, Document]] = {}
    for node in ((workflow.get("status") or {}).get("nodes") or {}).values():
        name = str(node.get("name", ""))
        attempt = _ATTEMPT.fullmatch(name)
        place, number = (attempt["task"], int(attempt["number"])) if attempt else (name, 0)
        if node.get("type") == "Pod" and number >= last.get(place, (0, {}))[0]:
            last[place] = (number, node)
    failed = [node for _, node in last.values() if node.get("phase") in {"Failed", "Error"}]
    lost = [node for node in failed if _LOST.search(str(node.get("message", "")))]
    if len(lost) < len(failed):
        return []
    return [f"{_task(str(node.get('name', '')))}: {node['message']}" for node in lost]


def _task(node_name: str) -> str:
    """``train`` of ``sightline-x7f.root.train.executor(0)``."""
    parts = [part for part in node_name.split(".")[1:] if not part.startswith("executor")]
    return parts[-1] if parts else node_name
