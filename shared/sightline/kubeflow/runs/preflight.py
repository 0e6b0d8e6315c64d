"""Preflight checks of a run: everything that its pods need to start.

Kubeflow starts a run without checking: if a secret or volume is missing, the pods wait for it forever, and the run
stays RUNNING.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sightline import strict_yaml
from sightline.config.settings import embedded_or_own
from sightline.errors import KubeflowError, NotAuthorisedError, NotReadyError, NotThereError, SightlineError
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.runs.graph import Vertex

SETTINGS = "sightline-settings"
"""The ConfigMap with the addresses of bucket, database and data repository of the cluster (manifests/)."""

GIT_SECONDS = 20.0

_CODE = re.compile(r"current|[0-9a-f]{8,64}")


@dataclass
class Findings:
    """The results of the checks.

    Attributes:
        faults: What would prevent the run from starting, with the remedy.
        notes: What could not be checked from here.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def require(self) -> None:
        """Raise if there are faults.

        Raises:
            NotReadyError: Lists all of them.
        """
        if self.faults:
            lines = "\n".join(f"  {fault}" for fault in self.faults)
            raise NotReadyError(f"the run was not started, because it would fail or wait forever:\n{lines}")


def check_cluster(cluster: Cluster | None, graph: Iterable[Vertex], service_account: str = "") -> Findings:
    """Check secrets and ConfigMaps with their keys, and volumes.

    Args:
        cluster: The cluster of the pods; None: nothing can be checked.
        graph: The tasks of the run.
        service_account: Service account of the pods; empty: Kubeflow's own.
    """
    if cluster is None:
        return Findings(notes=["secrets, ConfigMaps and volumes were not checked: set KUBECONFIG to reach the cluster"])
    tasks = [task for vertex in graph for task in vertex.tasks()]
    secrets = _collected((task.name, task.wants.secrets) for task in tasks)
    config_maps = _collected((task.name, task.wants.config_maps) for task in tasks)
    claims = _collected((task.name, dict.fromkeys(task.wants.claims, frozenset())) for task in tasks)
    welcome = _collected((task.name, task.wants.welcome) for task in tasks)
    looks: list[Callable[[], Findings]] = [
        *(partial(_keyed, cluster, "secret", name, keys) for name, keys in secrets.items()),
        *(partial(_keyed, cluster, "configmap", name, keys) for name, keys in config_maps.items()),
        *(partial(_claim, cluster, name, keys[""]) for name, keys in sorted(claims.items())),
        *(partial(_welcome, cluster, name, keys) for name, keys in welcome.items()),
        *([partial(_account, cluster, service_account)] if service_account else []),
    ]
    found = Findings()
    with ThreadPoolExecutor(8) as pool:
        for one in pool.map(_allowed, looks):
            found.faults += one.faults
            found.notes += [note for note in one.notes if note not in found.notes]
    if found.faults and not _namespace_is_there(cluster):
        found.faults = [f"the cluster has no namespace {cluster.namespace}; set yours with --namespace"]
    return found


def check_dataset(cluster: Cluster | None, tag: str) -> Findings:
    """Check that the data repository of the cluster has the dataset tag.

    Args:
        cluster: The cluster whose settings contain the repository; None: the settings of this machine.
        tag: The annotation tag.

    Raises:
        SightlineError: The settings of the cluster cannot be read.
    """
    from sightline.data.git.references import read_references
    from sightline.data.repository.tombstones import missing_tag

    repository = _repository(cluster)
    if not re.match(r"[a-z+]+://|[^/]+@[^/]+:", repository) or repository.startswith("file://"):
        note = f"the dataset tag was not checked: the data repository {repository} is a folder in the cluster"
        return Findings(notes=[note])
    try:
        known = read_references(repository, GIT_SECONDS)
    except SightlineError as error:
        return Findings(notes=[f"the dataset tag was not checked from here: {error}"])
    return Findings() if tag in known.tags else Findings(faults=[str(missing_tag(repository, tag, known, GIT_SECONDS))])


def check_code(cluster: Cluster | None, code_rev: str) -> Findings:
    """Check that the result bucket of the cluster has a code revision.

    Otherwise it may still be on the code volume, which only pods can see; resolve reports an error if it is not.

    Args:
        cluster: The cluster whose settings contain the bucket; None: nothing can be checked.
        code_rev: ``image``, ``current``, or a snapshot.
    """
    from sightline.code.bucket import read_pointer, revisions_in_bucket
    from sightline.storage import open_storage

    if code_rev in {"", "image"}:
        return Findings()
    if not _CODE.fullmatch(code_rev):
        expected = "expected image, current, or the SHA-256 of a snapshot (at least 8 digits)"
        return Findings(faults=[f"code revision {code_rev!r} is not valid; {expected}"])
    uri = str((cluster_settings(cluster).get("storage") or {}).get("uri", ""))
    if not uri.startswith("gs://"):
        return Findings(notes=[f"code revision {code_rev} was not checked: it is on a volume that only pods can read"])
    try:
        storage = open_storage(uri)
        if code_rev == "current":
            there = ["current"] if read_pointer(storage)[0] else []
        else:
            there = revisions_in_bucket(storage, code_rev)
    except SightlineError as error:
        return Findings(notes=[f"code revision {code_rev} was not checked from here: {error}"])
    if len(there) > 1:
        return Findings(faults=[f"{len(there)} snapshots begin with {code_rev}: {', '.join(there)}; use more digits"])
    note = f"code revision {code_rev} is not in {uri}; it must be on the code volume (publish-code puts it there)"
    return Findings(notes=[] if there else [note])


def cluster_settings(cluster: Cluster | None) -> Mapping[str, Any]:
    """The settings file of the tasks in the cluster; empty if there is none.

    Raises:
        KubeflowError: It is not valid YAML.
    """
    found = cluster.find("config_map", SETTINGS) if cluster else None
    text = str(((found or {}).get("data") or {}).get("settings.yaml", ""))
    try:
        document = strict_yaml.decode(text)
    except strict_yaml.YamlError as error:
        raise KubeflowError(
            f"ConfigMap {SETTINGS}, key settings.yaml, is not valid YAML: {error}; fix it and apply it again"
        ) from error
    return document if isinstance(document, dict) else {}


def _repository(cluster: Cluster | None) -> str:
    data = cluster_settings(cluster).get("data") or {}
    return str(data.get("repository") or embedded_or_own("data", "repository"))


def _collected(wanted: Iterable[tuple[str, Mapping[str, frozenset[str]]]]) -> dict[str, dict[str, set[str]]]:
    """Name -> key -> tasks that need it; the key is empty if any will do."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for task, named in wanted:
        for name, keys in named.items():
            for key in keys or {""}:
                found[name][key].add(task)
    return dict(found)


def _welcome(cluster: Cluster, name: str, wanted: Mapping[str, set[str]]) -> Findings:
    """Check an optional secret: if it exists without its key, that is probably a mistake."""
    if cluster.find("secret", name) is None:
        return Findings()
    return _keyed(cluster, "secret", name, wanted)


def _keyed(cluster: Cluster, kind: str, name: str, wanted: Mapping[str, set[str]]) -> Findings:
    """Check a secret or ConfigMap and its keys."""
    there = cluster.find("secret" if kind == "secret" else "config_map", name)
    title = "secret" if kind == "secret" else "ConfigMap"
    tasks = ", ".join(sorted(set().union(*wanted.values())))
    keys = sorted(key for key in wanted if key)
    literal = " ".join(f"--from-literal={key}=..." for key in keys) or "--from-file=..."
    make = f"kubectl -n {cluster.namespace} create {kind}{' generic' * (kind == 'secret')} {name} {literal}"
    if there is None:
        return Findings(
            faults=[f"{title} {name} is missing in namespace {cluster.namespace} and needed by {tasks}: {make}"]
        )
    missing = [key for key in keys if key not in (there.get("data") or {}) | (there.get("binaryData") or {})]
    if missing:
        has = ", ".join(sorted(there.get("data") or {})) or "none"
        return Findings(
            faults=[f"{title} {name} lacks the key {', '.join(missing)}, needed by {tasks}; it has {has}: add it"]
        )
    return Findings()


def _claim(cluster: Cluster, name: str, tasks: Iterable[str]) -> Findings:
    there = cluster.find("persistent_volume_claim", name)
    users = ", ".join(sorted(tasks))
    if there is None:
        return Findings(
            faults=[
                f"volume claim {name} is missing in namespace {cluster.namespace} and needed by {users}: "
                f"kubectl apply -k manifests/overlays/... creates it"
            ]
        )
    phase = str((there.get("status") or {}).get("phase", ""))
    if phase == "Bound":
        return Findings()
    if "deletionTimestamp" in there["metadata"]:
        return Findings(faults=[f"volume claim {name} is being deleted; wait until it is gone, then create it again"])
    last = (cluster.events("PersistentVolumeClaim", name) or [{}])[-1]
    said = f": {last['message']}" if last.get("message") else ""
    unsaid = phase == "Pending" and not said
    if last.get("reason") == "WaitForFirstConsumer" or (unsaid and _waits_for_pod(cluster, there)):
        return Findings()
    return Findings(faults=[f"volume claim {name}, needed by {users}, is {phase or 'unknown'}, not Bound{said}"])


def _account(cluster: Cluster, name: str) -> Findings:
    if cluster.find("service_account", name) is not None:
        return Findings()
    return Findings(
        faults=[
            f"service account {name} is missing in namespace {cluster.namespace}; kubectl apply -k "
            "manifests/overlays/... creates it"
        ]
    )


def _waits_for_pod(cluster: Cluster, claim: Document) -> bool:
    """Whether the storage class of the claim creates the volume only for the first pod that uses it."""
    name = (claim.get("spec") or {}).get("storageClassName")
    try:
        found = cluster.storage_class(name) if name else {}
    except NotThereError:
        return False
    return found.get("volumeBindingMode") == "WaitForFirstConsumer"


def _allowed(look: Callable[[], Findings]) -> Findings:
    """Run a check; a missing permission is a note, not a fault."""
    try:
        return look()
    except NotAuthorisedError as error:
        return Findings(notes=[f"not everything could be checked: {error}"])


def _namespace_is_there(cluster: Cluster) -> bool:
    try:
        return cluster.namespace_exists()
    except NotAuthorisedError:
        return True
