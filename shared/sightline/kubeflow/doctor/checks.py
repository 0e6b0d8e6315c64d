"""Checks of everything that a run on Kubeflow requires, from this machine and optionally from a pod."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sightline.errors import KubeflowError, NotAuthorisedError, UnreachableError
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.client.connection import Kubeflow
from sightline.kubeflow.doctor.findings import Finding, guarded
from sightline.kubeflow.doctor.nodes import examine_nodes
from sightline.kubeflow.doctor.places import examine_places, places_of
from sightline.kubeflow.runs.graph import Vertex
from sightline.kubeflow.runs.preflight import SETTINGS, cluster_settings

APPLY = "kubectl apply -k manifests/overlays/..."
CLAIMS = {"work_volume": "sightline-work", "code_volume": "sightline-code"}
"""Pipeline parameter -> the claim that it names by default."""

SECRETS = {
    "database_secret": ("sightline-database", "password", "the database needs no password"),
    "git_secret": ("sightline-git", "token", "the data repository needs no token"),
    "storage_secret": ("sightline-storage", "key.json", "the bucket is reached without a key"),
    "notify_secret": ("sightline-notify", "url", "no notification is sent when runs end"),
}
"""Pipeline parameter -> the secret that it names by default, its key, and what a missing secret means."""


def named(parameter: str, parameters: Mapping[str, Any]) -> str:
    """The claim or secret that a pipeline parameter names; ``parameters`` are those of the profile."""
    usual = CLAIMS[parameter] if parameter in CLAIMS else SECRETS[parameter][0]
    return str(parameters.get(parameter) or usual)


def examine(kubeflow: Kubeflow, graph: Sequence[Vertex] = ()) -> Iterator[Finding]:
    """Check everything that can be checked from this machine.

    Args:
        kubeflow: The Kubeflow to check.
        graph: The pipeline with the parameters of a run.
    """
    yield from guarded("API", lambda: _api(kubeflow), "check --host or KFP_HOST")
    cluster = kubeflow.cluster
    if cluster is None:
        text = "no cluster is configured, so volumes, secrets and nodes were not checked"
        yield Finding("cluster", "warning", text, "set KUBECONFIG or --kubeconfig")
        return
    claims = [named(parameter, kubeflow.parameters) for parameter in CLAIMS]
    secrets = {parameter: named(parameter, kubeflow.parameters) for parameter in SECRETS}
    checks = (
        ("cluster", _cluster),
        ("service account", lambda seen: _account(seen, kubeflow.service_account or "sightline")),
        *((f"volume {name}", lambda seen, name=name: _claim(seen, name)) for name in claims),
        *((f"secret {name}", lambda seen, name=name, of=of: _secret(seen, name, of)) for of, name in secrets.items()),
        ("settings", _settings),
        ("nodes", lambda seen: examine_nodes(seen, graph)),
    )
    for name, look in checks:
        try:
            for finding in look(cluster):
                yield finding
                if (name, finding.level) == ("cluster", "fault"):  # everything in the namespace would be missing
                    return
        except UnreachableError as error:
            yield Finding(name, "fault", str(error), "kubectl cluster-info")
            return
        except NotAuthorisedError as error:
            yield Finding(name, "warning", f"not checked: {error}", "bind the role sightline-client to your account")
        except KubeflowError as error:
            yield Finding(name, "fault", str(error), "kubectl cluster-info")
    yield from guarded("settings", lambda: _places(cluster_settings(cluster)), APPLY)


def _api(kubeflow: Kubeflow) -> Iterator[Finding]:
    health = kubeflow.api.health
    users = f"many users, namespace {kubeflow.api.scope}" if health.multi_user else "one user"
    version = f" {health.version}" if health.version else " of unknown version"
    kubeflow.api.runs(1)
    yield Finding("API", "ok", f"{kubeflow.api.server.place.url}: Kubeflow Pipelines{version}, {users}")


def _cluster(cluster: Cluster) -> Iterator[Finding]:
    version = cluster.version()
    text = f"{cluster.server.place.url}: Kubernetes {version}, namespace {cluster.namespace}"
    try:
        there = cluster.namespace_exists()
    except NotAuthorisedError:  # normal work does not need this permission
        text, there = f"{text} (not checked whether it exists: permission is missing)", True
    if there:
        yield Finding("cluster", "ok", text)
        return
    remedy = f"kubectl create namespace {cluster.namespace}, or set yours with --namespace"
    yield Finding("cluster", "fault", f"Kubernetes {version} has no namespace {cluster.namespace}", remedy)


def _account(cluster: Cluster, name: str) -> Iterator[Finding]:
    if cluster.find("service_account", name) is None:
        text = f"{name} is missing: runs would use Kubeflow's own account, which has far more permissions"
        yield Finding("service account", "warning", text, APPLY)
    else:
        yield Finding("service account", "ok", f"{name}; use it with --service-account or KFP_SERVICE_ACCOUNT")


def _claim(cluster: Cluster, name: str) -> Iterator[Finding]:
    check = f"volume {name}"
    claim = cluster.find("persistent_volume_claim", name)
    if claim is None:
        yield Finding(check, "fault", "the claim is missing: every task would wait for it forever", APPLY)
        return
    phase = (claim.get("status") or {}).get("phase")
    modes = (claim.get("status") or {}).get("accessModes") or claim["spec"].get("accessModes") or []
    size = ((claim.get("status") or {}).get("capacity") or {}).get("storage", "unknown size")
    describe = f"kubectl -n {cluster.namespace} describe pvc {name}"
    if phase != "Bound":
        events = cluster.events("PersistentVolumeClaim", name)
        said = f": {events[-1].get('message', '')}" if events else ""
        waits = bool(events) and events[-1].get("reason") == "WaitForFirstConsumer"
        yield Finding(check, "ok" if waits else "fault", f"{phase}, not bound{said}", "" if waits else describe)
    elif "ReadWriteMany" not in modes:
        text = f"bound, {size}, {', '.join(modes)}: tasks on different nodes would wait for each other forever"
        yield Finding(check, "warning", text, "use a storage class with ReadWriteMany, or a cluster with one node")
    else:
        yield Finding(check, "ok", f"bound, {size}, ReadWriteMany")


def _secret(cluster: Cluster, name: str, parameter: str) -> Iterator[Finding]:
    _, key, otherwise = SECRETS[parameter]
    secret = cluster.find("secret", name)
    make = f"kubectl -n {cluster.namespace} create secret generic {name} --from-literal={key}=..."
    if secret is None:
        yield Finding(f"secret {name}", "ok", f"does not exist: {otherwise}")
    elif key not in (secret.get("data") or {}):
        has = ", ".join(sorted(secret.get("data") or {})) or "none"
        yield Finding(f"secret {name}", "fault", f"lacks its key {key}; it has {has}", make)
    else:
        yield Finding(f"secret {name}", "ok", f"has its key {key}")


def _settings(cluster: Cluster) -> Iterator[Finding]:
    settings = cluster_settings(cluster)
    if not settings:
        text = f"ConfigMap {SETTINGS} is missing: tasks keep everything on the work volume"
        yield Finding("settings", "warning", text, APPLY)
    else:
        yield Finding("settings", "ok", f"ConfigMap {SETTINGS} sets {', '.join(sorted(settings))}")


def _places(settings: Mapping[str, object]) -> Iterator[Finding]:
    """The places in the settings that this machine can reach; the work volume is only visible in a pod."""
    places = places_of(settings)
    here = [place for place in places if re.match(r"(gs|https?|ssh|git|mysql\S*)://|[^/]+@[^/]+:", place)]
    if len(here) == len(places):
        yield from examine_places(*places)
    else:
        elsewhere = ", ".join(place for place in places if place not in here)
        yield Finding("places", "warning", f"cannot be reached from this machine: {elsewhere}", "doctor --in-cluster")
