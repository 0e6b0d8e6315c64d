"""Which tasks of a run failed because their pods were taken from them, and not by their own fault."""

from __future__ import annotations

import re

from sightline.kubeflow.client.document import Document

_LOST = re.compile(
    # Argo found no pod any more: it was deleted, or preempted, or its node left the cluster.
    r"^pod deleted"
    # The kubelet of a node that is full, goes down, or does not take the pod that was meant for it.
    r"|^The node (was low on resource|had condition)|imminent node shutdown|node is (in progress of )?shutting down"
    r"|^Pod was rejected|UnexpectedAdmissionError|Allocate failed|^Preempted"
    # The cluster gave a node up that says nothing any more, or the node came back without its containers.
    r"|is unresponsive|could not be located when the pod was"
    # SIGTERM, which a pod gets that must leave its node.
    r"|\(exit code 143\)"
    # Argo's own containers around the task's: it speaks of them only where the task itself did not fail.
    r"|^(init|wait): ",
    re.IGNORECASE,
)
"""Messages of a node of the workflow: that of the pod where it has one, else that of its first failed container."""

_ATTEMPT = re.compile(r"(?P<task>.*\.executor)\((?P<number>\d+)\)")


def lost_tasks(workflow: Document) -> list[str]:
    """What was lost, as ``task: message``; empty when anything failed by itself, because then resuming would not help.

    Of a task that was tried several times the last attempt counts.

    Args:
        workflow: The Argo workflow behind the run.
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
