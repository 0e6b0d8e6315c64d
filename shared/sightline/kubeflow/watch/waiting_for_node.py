"""Why no node accepts a pod: no node is large enough, or none has enough free at the moment."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sightline.kubeflow.capacity import ClusterNode, outlook_of, pod_needs
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.watch.waiting import Reason

FOREVER = "it will wait forever"
_ABOUT_NODES = re.compile(r"Insufficient|node affinity/selector|untolerated taint|were unschedulable")
_SHORT = re.compile(r"Insufficient (\S+?)[,.]?(?=\s|$)")


def unscheduled(pod: Document) -> str:
    """The message of the scheduler about a pod for which it has no node; empty if it has one."""
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            message = str(condition.get("message", ""))
            return message if _ABOUT_NODES.search(message) else ""
    return ""


def why_no_node(pod: Document, nodes: Sequence[ClusterNode]) -> Reason | None:
    """Why no node accepts a pod, judged by the size of the nodes; None if the pod does not wait for a node.

    Args:
        pod: The pod as returned by Kubernetes.
        nodes: The nodes of its cluster.
    """
    message = unscheduled(pod)
    if not message or not nodes:
        return None
    verdict = outlook_of(pod_needs(pod), nodes)
    if verdict.outlook == "never":
        large = verdict.text.startswith("no node is large enough")
        text = f"no node is large enough: {FOREVER} ({verdict.text})" if large else f"{verdict.text}: {FOREVER}"
        return Reason(text, f"stop the run; {verdict.remedy}")
    if verdict.outlook != "fits":
        return Reason(verdict.text, verdict.remedy)
    short = sorted(set(_SHORT.findall(message)))
    if not short:
        return None
    return Reason(
        f"no node has enough {' and '.join(short)} free now; {verdict.text} when it is empty",
        "it starts when other pods there end; otherwise request less with --param",
    )
