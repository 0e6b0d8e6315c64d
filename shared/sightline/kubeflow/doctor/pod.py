"""A pod like those of the tasks that runs the checks inside the cluster; it is deleted afterwards."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sightline import strict_json
from sightline.errors import KubeflowError
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.doctor.checks import SECRETS, named
from sightline.kubeflow.doctor.findings import Finding
from sightline.kubeflow.runs.preflight import SETTINGS
from sightline.kubeflow.watch.waiting import image_lacks, why_ended, why_waiting

START_SECONDS = 300.0
"""Pulling a large image can take this long."""

RUN_SECONDS = 300.0
IMAGE_REMEDY = (
    "make images REGISTRY=... TAG=..., push it, then use --image; for runs, --param base_image=... train_image=..."
)
USER = 1000
PATIENCE_SECONDS = 20.0
"""A pod that has waited this long with a known reason is considered stuck."""

_POLL_SECONDS = 1.0
_VARIABLES = {
    "database_secret": "SIGHTLINE_DATABASE_PASSWORD",
    "git_secret": "SIGHTLINE_GIT_TOKEN",
    "notify_secret": "SIGHTLINE_NOTIFY_URL",
}
_PATHS = {"work_volume": "/var/lib/sightline", "code_volume": "/code"}


def examine_inside(
    cluster: Cluster, image: str, service_account: str, parameters: Mapping[str, Any]
) -> Iterator[Finding]:
    """Run the checks in a pod of the tasks' image, with their volumes, secrets and settings.

    Args:
        cluster: The cluster to check.
        image: The image of the tasks.
        service_account: Service account of the pods; empty: the namespace's default.
        parameters: Parameters of the profile, which may name other claims and secrets than the manifests create.
    """
    with _pod(cluster, pod_document(image, service_account, parameters)) as name:
        pod = _started(cluster, name)
        reason = why_waiting(pod, cluster.events("Pod", name))
        if (pod.get("status") or {}).get("phase") == "Pending":
            text = f"the pod for the checks does not start: {reason or 'no reason is reported'}"
            yield Finding("pod", "fault", text, f"kubectl -n {cluster.namespace} get events")
            return
        yield Finding("registry", "ok", f"{image} was pulled and starts on {pod['spec'].get('nodeName')}")
        said, others = False, []
        for line in cluster.log_lines(name, follow=True):
            try:
                yield strict_json.decode_as(Finding, line)
                said = True
            except strict_json.JsonError:
                others.append(line)
        if not said:
            ended = why_ended(cluster.find("pod", name) or {}) or "no reason is reported"
            lacks = image_lacks(image, [*others, ended])
            text = (
                lacks.text
                if lacks
                else f"the pod for the checks ended ({ended}); its log: {' '.join(others[-3:]) or 'empty'}"
            )
            yield Finding("image", "fault", text, IMAGE_REMEDY)


def pod_document(image: str, service_account: str, parameters: Mapping[str, Any]) -> Document:
    """The pod, with the same settings as components/pod.py gives to tasks."""
    names = {"app.kubernetes.io/part-of": "sightline", "app.kubernetes.io/component": "doctor"}
    volumes = _volumes(parameters)
    specification: Document = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(START_SECONDS + RUN_SECONDS),
        "automountServiceAccountToken": bool(service_account),
        "containers": [_container(image, volumes, parameters)],
        "volumes": [{"name": name, **volume} for name, (_, volume) in volumes.items()],
        "securityContext": {
            "runAsUser": USER,
            "runAsGroup": USER,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if service_account:
        specification["serviceAccountName"] = service_account
    labels = {**names, "sidecar.istio.io/inject": "false"}
    metadata = {"name": f"sightline-doctor-{secrets.token_hex(4)}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": specification}


def _container(image: str, volumes: Mapping[str, tuple[str, Document]], parameters: Mapping[str, Any]) -> Document:
    return {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "sightline.kubeflow.doctor.inside"],
        "env": [
            *(_secret_variable(variable, parameter, parameters) for parameter, variable in _VARIABLES.items()),
            {"name": "SIGHTLINE_SETTINGS", "value": "/etc/sightline/settings.yaml"},
            {"name": "SIGHTLINE_STORAGE_KEY", "value": "/etc/sightline-storage/key.json"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108  (the pod's own)
        ],
        "envFrom": [{"configMapRef": {"name": "sightline-environment", "optional": True}}],
        "volumeMounts": [{"name": name, "mountPath": path} for name, (path, _) in volumes.items()],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _secret_variable(variable: str, parameter: str, parameters: Mapping[str, Any]) -> Document:
    key = {"name": named(parameter, parameters), "key": SECRETS[parameter][1], "optional": True}
    return {"name": variable, "valueFrom": {"secretKeyRef": key}}


def _volumes(parameters: Mapping[str, Any]) -> dict[str, tuple[str, Document]]:
    """Name of each volume -> mount path and definition."""
    claimed = {
        parameter.replace("_", "-"): (path, {"persistentVolumeClaim": {"claimName": named(parameter, parameters)}})
        for parameter, path in _PATHS.items()
    }
    storage_key = {"secret": {"secretName": named("storage_secret", parameters), "optional": True}}
    return claimed | {
        "settings": ("/etc/sightline", {"configMap": {"name": SETTINGS, "optional": True}}),
        "storage-key": ("/etc/sightline-storage", storage_key),
        "tmp": ("/tmp", {"emptyDir": {}}),  # noqa: S108
        "shared-memory": ("/dev/shm", {"emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}),  # noqa: S108
    }


@contextmanager
def _pod(cluster: Cluster, document: Document) -> Iterator[str]:
    cluster.create_pod(document)
    name = document["metadata"]["name"]
    try:
        yield name
    finally:
        cluster.remove_pod(name)


def _started(cluster: Cluster, name: str) -> Document:
    """The pod once it has started, or once it is clear that it does not."""
    until = time.monotonic() + START_SECONDS
    while True:
        pod = cluster.find("pod", name)
        if pod is None:
            raise KubeflowError(f"the pod {name} for the checks was deleted by someone else; run doctor again")
        if (pod.get("status") or {}).get("phase") != "Pending" or time.monotonic() > until:
            return pod
        if why_waiting(pod) is not None and time.monotonic() > until - START_SECONDS + PATIENCE_SECONDS:
            return pod
        time.sleep(_POLL_SECONDS)
