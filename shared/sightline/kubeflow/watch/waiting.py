"""Why a pod does not start or has ended, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sightline.kubeflow.client.document import Document

_SHOWN = 300


@dataclass(frozen=True)
class Reason:
    """The reason why a pod does not start.

    Attributes:
        text: What is wrong.
        remedy: What to do; empty if it is enough to wait.
    """

    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


_CAUSES: tuple[tuple[str, str, str], ...] = (
    (r'exceeded quota: (?P<it>[^,"]+)', "the namespace's quota {it} is used up",
     "stop other runs or request a larger quota"),
    (r'secret "(?P<it>[^"]+)" not found', "secret {it} is missing", "create it; the task then starts automatically"),
    (r"couldn't find key (?P<key>\S+) in Secret \S*/(?P<it>\S+)", "secret {it} lacks the key {key}",
     "add it; the task then starts automatically"),
    (r'references non-existent secret key: (?P<it>\S+)', "a secret lacks the key {it}",
     "add it; the task then starts automatically"),
    (r'configmap "(?P<it>[^"]+)" not found', "ConfigMap {it} is missing",
     "create it; the task then starts automatically"),
    (r"couldn't find key (?P<key>\S+) in ConfigMap \S*/(?P<it>\S+)", "ConfigMap {it} lacks the key {key}",
     "add it; the task then starts automatically"),
    (r'persistentvolumeclaim "(?P<it>[^"]+)" not found', "volume claim {it} is missing",
     "create it; the task then starts automatically"),
    (r'persistentvolumeclaim "(?P<it>[^"]+)" is being deleted', "volume claim {it} is being deleted",
     "stop the run, wait until the claim is gone, create it again"),
    (r"unbound immediate PersistentVolumeClaims", "a volume claim is not bound to a volume",
     "see kubectl describe pvc: the storage class or an administrator must create one"),
    (r"Multi-Attach error for volume \"(?P<it>[^\"]+)\"", "volume {it} is in use on another node (ReadWriteOnce)",
     "make the claim ReadWriteMany"),
    (r'Failed to pull image "(?P<it>[^"]+)"', "image {it} cannot be pulled", "push it, or load it onto the nodes"),
    (r"Insufficient (?P<it>[^\s,]+/[^\s,]+?)[,.]", "no node has enough {it} free now, or any at all",
     "if one has, the task starts when enough is free; --param accelerator_count=0 runs on the CPU"),
    (r"Insufficient (?P<it>cpu|memory|ephemeral-storage)", "no node has enough {it} free now, or none is large enough",
     "if one is, the task starts when enough is free; otherwise request less with --param"),
    (r"didn't match Pod's node affinity/selector", "no node has the labels that the node selector requires",
     "change node_selector with --param"),
    (r"untolerated taint[s]? ?\{?(?P<it>[^}]*)", "every node has a taint that the task does not tolerate ({it})",
     "add it to tolerations with --param"),
)  # fmt: skip

_LACKS = re.compile(
    r"""No module named '(?P<module>sightline|sightline_bootstrap|kfp|torch)'"""
    r"""|exec: "(?P<program>python3?|sh)": executable file not found"""
)
_IMAGE = re.compile(r"ImagePullBackOff|ErrImagePull|ErrImageNeverPull|InvalidImageName|RegistryUnavailable")
_REFUSED = re.compile(r"unauthorized|denied|authentication required|no basic auth|403|401", re.IGNORECASE)


def why_waiting(pod: Document, events: Sequence[Document] = ()) -> Reason | None:
    """Why a pod has not started; None if nothing prevents it.

    Args:
        pod: The pod as returned by Kubernetes.
        events: Its events, oldest first.
    """
    status = pod.get("status") or {}
    if status.get("phase") not in {"Pending", None}:
        return None
    for container, waiting in _waiting(status):
        reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
        if _IMAGE.search(reason):
            return _image(str(container.get("image", "")), message)
        if reason not in {"ContainerCreating", "PodInitializing"}:
            return known_cause(message) or Reason(_line(f"{reason}: {message}"))
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            message = str(condition.get("message", ""))
            return known_cause(message) or Reason(_line(f"no node accepts it: {message}"))
    warnings = _warnings(events)
    known = (known_cause(str(event.get("message", ""))) for event in warnings)
    return next(
        filter(None, known),
        Reason(_line(f"{warnings[0].get('reason')}: {warnings[0].get('message', '')}")) if warnings else None,
    )


def _warnings(events: Sequence[Document]) -> list[Document]:
    """The warnings since the last event of a container that started, newest first; older ones are resolved."""
    found = []
    for event in reversed(events):
        if event.get("reason") in {"Pulled", "Created", "Started"}:
            break
        if event.get("type") == "Warning":
            found.append(event)
    return found


def known_cause(message: str) -> Reason | None:
    """The meaning of a message of Kubernetes, if it is known."""
    for pattern, text, remedy in _CAUSES:
        match = re.search(pattern, message)
        if match:
            return Reason(text.format(**match.groupdict()), remedy)
    return None


def why_ended(pod: Document) -> str:
    """How a pod's task container ended, such as ``exit code 137, OOMKilled``; empty if unknown."""
    status = pod.get("status") or {}
    if status.get("reason"):  # of the whole pod: Evicted, DeadlineExceeded, NodeLost
        return _line(f"{status['reason']}: {status.get('message', '')}".rstrip(": "))
    for container in status.get("containerStatuses") or []:
        ended = (container.get("state") or {}).get("terminated") or {}
        if container.get("name") == "main" and ended:
            reason = str(ended.get("reason", ""))
            code = f"exit code {ended.get('exitCode')}"
            if reason == "OOMKilled":
                return f"{code}: it used more memory than its limit (OOMKilled)"
            if reason in {"", "Error", "Completed"}:
                return code
            return _line(f"{code}, {reason}: {ended.get('message', '')}".rstrip(": "))
    return ""


def image_lacks(image: str, lines: Iterable[str]) -> Reason | None:
    """What an image lacks that every task needs, according to the output of its container; None if nothing is found.

    Args:
        image: Its name; empty if unknown.
        lines: Lines of the log, or the message of a container that did not start.
    """
    for line in lines:
        match = _LACKS.search(line)
        if match:
            lacks = match["program"] or match["module"]
            lacks = "Sightline" if lacks.startswith("sightline") else lacks
            name = f"image {image}" if image else "the image"
            return Reason(
                f"{name} has no {lacks} in it",
                "build it with make images, or use another with --param base_image=... and train_image=...",
            )
    return None


def _waiting(status: Document) -> Iterator[tuple[Document, Document]]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            waiting = (container.get("state") or {}).get("waiting")
            if waiting:
                yield container, waiting


def _image(image: str, message: str) -> Reason:
    if _REFUSED.search(message):
        return Reason(f"the registry does not give image {image} to this cluster", "add an image pull secret")
    if "InvalidImageName" in message or "couldn't parse image" in message:
        return Reason(f"{image!r} is not an image name", "fix it and upload again")
    return Reason(f"image {image} cannot be pulled: {_line(message)}" if message else f"image {image} is not found",
                  "push it, or load it onto the nodes")  # fmt: skip


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
