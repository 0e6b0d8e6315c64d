"""The TrainJob of Kubeflow Trainer (v2) that trains on several nodes, made from the pod of the train step.

Its pods get what the pod of the step has: image, resources, volumes, variables, secrets, service account and placement.
The runtime ``torch-distributed`` of Trainer sets the variables of torchrun: the number of each node, and the address of
the first one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from sightline.kubeflow.client.document import Document

API_VERSION = "trainer.kubeflow.org/v1alpha1"
RUNTIME = "torch-distributed"
MANAGER = "sightline/train-step"

NODE_LABELS = {"app.kubernetes.io/part-of": "sightline", "app.kubernetes.io/component": "train-node"}
"""Labels of its pods; a network policy in manifests/ lets them connect to each other."""

_NODE = "node"
"""Name of the job and the container in the runtime."""

_SHARED_MEMORY = "/dev/shm"  # noqa: S108
_VOLUME_KINDS = frozenset({"persistentVolumeClaim", "secret", "configMap", "csi", "nfs"})
_NOT_REPEATED = ("ARGO_", "KFP_", "PET_", "KUBERNETES_")
"""Prefixes of variables of Argo, Kubeflow Pipelines and the runtime."""


def train_job(
    name: str,
    pod: Document,
    command: Sequence[str],
    *,
    nodes: int,
    processes: int,
    variables: Mapping[str, str],
    seconds: int,
    environment: Mapping[str, str] = os.environ,
) -> Document:
    """The TrainJob.

    Args:
        name: Its name.
        pod: The pod of the train step, as the cluster describes it.
        command: Command of each node.
        nodes: Number of nodes.
        processes: Processes per node.
        variables: Environment variables to add.
        seconds: Longest time that it may run.
        environment: Environment of the step, for variables that describe its pod.
    """
    container = main_container(pod)
    spec = pod["spec"]
    volumes, mounts = _volumes(spec.get("volumes") or [], container.get("volumeMounts") or [])
    repeated = ("serviceAccountName", "imagePullSecrets", "securityContext", "nodeSelector")
    pod_patch: Document = {key: spec[key] for key in repeated if spec.get(key)}
    if tolerations := [one for one in spec.get("tolerations") or [] if not _is_automatic(one)]:
        pod_patch["tolerations"] = tolerations
    pod_patch |= {"volumes": volumes, "containers": [{"name": _NODE, "volumeMounts": mounts}]}
    if container.get("securityContext"):
        pod_patch["containers"][0]["securityContext"] = container["securityContext"]
    metadata = {"labels": NODE_LABELS, "annotations": {"sidecar.istio.io/inject": "false"}}
    job_patch = {"name": _NODE, "template": {"spec": {"template": {"metadata": metadata, "spec": pod_patch}}}}
    trainer: Document = {
        "image": container["image"],
        "command": list(command),
        "env": _variables(container.get("env") or [], variables, environment),
        "numNodes": nodes,
        "numProcPerNode": processes,
    }
    if resources := {key: value for key, value in (container.get("resources") or {}).items() if key != "claims"}:
        trainer["resourcesPerNode"] = resources
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainJob",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/part-of": "sightline"},
            "ownerReferences": [_owner(pod["metadata"])],
        },
        "spec": {
            "runtimeRef": {"name": RUNTIME},
            "activeDeadlineSeconds": seconds,
            "trainer": trainer,
            "runtimePatches": [
                {
                    "manager": MANAGER,
                    "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job_patch]}}},
                }
            ],
        },
    }


def main_container(pod: Document) -> Document:
    """The container of a task; the other ones of its pod belong to Argo."""
    containers: list[Document] = pod["spec"]["containers"]
    return next((container for container in containers if container["name"] == "main"), containers[0])


def _owner(metadata: Document) -> Document:
    """The pod of the step as the owner, so that the TrainJob is removed with it at the latest."""
    return {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}


def _volumes(volumes: list[Document], mounts: list[Document]) -> tuple[list[Document], list[Document]]:
    """The volumes of the step and where they are mounted, without those of Argo and Kubeflow; with shared memory."""
    kept = {volume["name"]: volume for volume in volumes if _is_repeated(volume)}
    mounted = [mount for mount in mounts if mount["name"] in kept]
    used = {mount["name"] for mount in mounted}
    chosen = [volume for name, volume in kept.items() if name in used]
    if not any(mount["mountPath"] == _SHARED_MEMORY for mount in mounted):
        chosen.append({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})
        mounted.append({"name": "shared-memory", "mountPath": _SHARED_MEMORY})
    return chosen, mounted


def _is_repeated(volume: Document) -> bool:
    if "emptyDir" in volume:
        return (volume["emptyDir"] or {}).get("medium") == "Memory"
    return bool(_VOLUME_KINDS & volume.keys())


def _is_automatic(toleration: Document) -> bool:
    """Whether Kubernetes adds a toleration to every pod."""
    return str(toleration.get("key", "")).startswith("node.kubernetes.io/")


def _variables(given: list[Document], added: Mapping[str, str], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The variables of the step; those that describe its pod get their values, because other pods have other ones."""
    variables: list[dict[str, Any]] = []
    for one in given:
        name, source = one["name"], one.get("valueFrom") or {}
        if name in added or name.startswith(_NOT_REPEATED):
            continue
        if "fieldRef" in source or "resourceFieldRef" in source:
            variables.append({"name": name, "value": environment.get(name, "")})
        else:
            variables.append(one)
    return variables + [{"name": name, "value": value} for name, value in added.items()]
