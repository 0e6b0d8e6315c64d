"""Which tasks of a run failed because their pods were taken from them, and not by their own fault."""

from __future__ import annotations

import re

from sightline.kubeflow.http import Document

# 143 is SIGTERM, which the cluster sends to a pod that must leave its node.
_LOST = re.compile(
    r"pod deleted|evicted|preempt|node ?lost|node is (not ready|gone|shutting down)|shut ?down|"
    r"imminent node|\(exit code 143\)|unexpected ?admission|the node (was|had)|pod was (terminated|rejected)|"
    r"terminated in response",
    re.IGNORECASE,
)


def lost_tasks(workflow: Document) -> list[str]:
    """What was lost, as ``task: message``; empty when anything failed by itself, because then resuming would not help.

    Args:
        workflow: The Argo workflow behind the run.
    """
    nodes = ((workflow.get("status") or {}).get("nodes") or {}).values()
    failed = [node for node in nodes if node.get("type") == "Pod" and node.get("phase") in {"Failed", "Error"}]
    lost = [node for node in failed if _LOST.search(str(node.get("message", "")))]
    if len(lost) < len(failed):
        return []
    return [f"{_task(str(node.get('name', '')))}: {node['message']}" for node in lost]


def _task(node_name: str) -> str:
    """``train`` of ``sightline-x7f.root.train.executor(0)``."""
    parts = [part for part in node_name.split(".")[1:] if not part.startswith("executor")]
    return parts[-1] if parts else node_name
