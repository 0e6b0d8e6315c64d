"""The Kubernetes API of the cluster, in one namespace: the objects that a run needs, its pods and their events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from kubernetes.client import CoreV1Api, CustomObjectsApi, StorageV1Api, VersionApi

from sightline.errors import NotThereError
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.client.server import READ_SECONDS, Server

RUN_LABEL = "pipeline/runid"
"""The label that Kubeflow gives to every pod of a run."""

NODE_ANNOTATION = "workflows.argoproj.io/node-name"
_FOLLOW_SECONDS = 3600.0


@dataclass(frozen=True)
class Cluster:
    """One namespace of a cluster.

    Attributes:
        server: Its API server.
        namespace: Namespace of the pods of runs.
    """

    server: Server
    namespace: str

    def _ask(self, call: str, **given: object) -> Document:
        """The response of the core API to a request about this namespace."""
        return self.server.ask(getattr(CoreV1Api(self.server), call), namespace=self.namespace, **given)

    def find(self, kind: str, name: str) -> Document | None:
        """Find an object of the namespace.

        Args:
            kind: As the client spells it: ``secret``, ``config_map``, ``persistent_volume_claim``, ``pod``, ...
            name: Its name.

        Returns:
            None if it does not exist.
        """
        try:
            return self._ask(f"read_namespaced_{kind}", name=name)
        except NotThereError:
            return None

    def version(self) -> str:
        """The version of Kubernetes, such as v1.33.0."""
        return str(self.server.ask(VersionApi(self.server).get_code).get("gitVersion", "unknown"))

    def namespace_exists(self) -> bool:
        """Whether the namespace exists."""
        try:
            self.server.ask(CoreV1Api(self.server).read_namespace, name=self.namespace)
        except NotThereError:
            return False
        return True

    def nodes(self) -> list[Document]:
        """All nodes of the cluster; requires a permission outside the namespace.

        Raises:
            NotAuthorisedError: The permission is missing.
        """
        return list(self.server.ask(CoreV1Api(self.server).list_node).get("items") or [])

    def storage_class(self, name: str) -> Document:
        """A storage class.

        Raises:
            NotThereError: There is no such class.
        """
        return self.server.ask(StorageV1Api(self.server).read_storage_class, name=name)

    def pods(self, run_id: str) -> list[Document]:
        """The pods of a run that still exist."""
        found = self._ask("list_namespaced_pod", label_selector=f"{RUN_LABEL}={run_id}")
        return list(found.get("items") or [])

    def create_pod(self, pod: Document) -> None:
        """Create a pod."""
        self._ask("create_namespaced_pod", body=pod)

    def remove_pod(self, name: str) -> None:
        """Remove a pod immediately, if it still exists."""
        with suppress(NotThereError):
            self._ask("delete_namespaced_pod", name=name, grace_period_seconds=0)

    def events(self, kind: str, name: str) -> list[Document]:
        """The events of an object in the last hour, oldest first."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"
        found = self._ask("list_namespaced_event", field_selector=selector).get("items") or []
        return sorted(found, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))

    def workflow(self, run_id: str) -> Document | None:
        """The workflow of a run; None if it was removed."""
        found = self.server.ask(
            CustomObjectsApi(self.server).list_namespaced_custom_object,
            group="argoproj.io",
            version="v1alpha1",
            namespace=self.namespace,
            plural="workflows",
            label_selector=f"{RUN_LABEL}={run_id}",
        )
        return next(iter(found.get("items") or []), None)

    def train_job(self, name: str) -> Document | None:
        """A TrainJob of Kubeflow Trainer; None if it does not exist."""
        try:
            return self._ask_trainer("get_namespaced_custom_object", name=name)
        except NotThereError:
            return None

    def create_train_job(self, document: Document) -> None:
        """Create a TrainJob.

        Raises:
            NotThereError: Kubeflow Trainer is not installed.
        """
        self._ask_trainer("create_namespaced_custom_object", body=document)

    def remove_train_job(self, name: str) -> None:
        """Remove a TrainJob, if it still exists; it exists until all its pods have ended."""
        with suppress(NotThereError):
            self._ask_trainer("delete_namespaced_custom_object", name=name, propagation_policy="Foreground")

    def _ask_trainer(self, call: str, **given: object) -> Document:
        return self.server.ask(
            getattr(CustomObjectsApi(self.server), call),
            group="trainer.kubeflow.org",
            version="v1alpha1",
            namespace=self.namespace,
            plural="trainjobs",
            **given,
        )

    def log_lines(
        self, pod: str, *, container: str = "main", follow: bool = False, tail: int | None = None
    ) -> Iterator[str]:
        """The log of a pod's container.

        Args:
            pod: Name of the pod.
            container: Name of the container.
            follow: Wait for more lines until the container ends.
            tail: Number of last lines; None: all.

        Raises:
            NotThereError: The pod is gone.
            UnreachableError: The connection broke off.
        """
        return self.server.lines(
            CoreV1Api(self.server).read_namespaced_pod_log,
            read_seconds=_FOLLOW_SECONDS if follow else READ_SECONDS,
            name=pod,
            namespace=self.namespace,
            container=container,
            follow=follow or None,
            tail_lines=tail,
        )
