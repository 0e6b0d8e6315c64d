"""The Kubernetes API of the cluster, in one namespace: what a run stands on, its pods and what happened to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from sightline.errors import NotThereError
from sightline.kubeflow.client.http import Document, Server

RUN_LABEL = "pipeline/runid"
"""The label by which Kubeflow marks every pod of a run."""

NODE_ANNOTATION = "workflows.argoproj.io/node-name"


@dataclass(frozen=True)
class Cluster:
    """One namespace of a cluster.

    Attributes:
        server: Its API server.
        namespace: Where runs have their pods.
    """

    server: Server
    namespace: str

    def thing(self, kind: str, name: str) -> Document | None:
        """A secret, ConfigMap, claim, ...

        Args:
            kind: Its plural in addresses: ``secrets``, ``configmaps``, ``persistentvolumeclaims``.
            name: Its name.

        Returns:
            None where there is none.
        """
        try:
            return self.server.get(f"/api/v1/namespaces/{self.namespace}/{kind}/{quote(name, safe='')}")
        except NotThereError:
            return None

    def namespace_exists(self) -> bool:
        """Whether the namespace is there."""
        try:
            self.server.get(f"/api/v1/namespaces/{self.namespace}")
        except NotThereError:
            return False
        return True

    def nodes(self) -> list[Document]:
        """All nodes of the cluster, which takes a right outside the namespace.

        Raises:
            NotAuthorisedError: That right is missing.
        """
        return list(self.server.get("/api/v1/nodes").get("items") or [])

    def pods(self, run_id: str) -> list[Document]:
        """The pods of a run that are still there."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return list(self.server.get(path, labelSelector=f"{RUN_LABEL}={run_id}").get("items") or [])

    def events(self, kind: str, name: str) -> list[Document]:
        """What happened to an object in the last hour, oldest first."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"
        found = self.server.get(f"/api/v1/namespaces/{self.namespace}/events", fieldSelector=selector).get("items")
        return sorted(found or [], key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))

    def workflow(self, run_id: str) -> Document | None:
        """The workflow behind a run, or None when it was cleared away."""
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/workflows"
        found = self.server.get(path, labelSelector=f"{RUN_LABEL}={run_id}").get("items") or []
        return found[0] if found else None

    def log_lines(
        self, pod: str, *, container: str = "main", follow: bool = False, tail: int | None = None
    ) -> Iterator[str]:
        """The log of a pod's container.

        Args:
            pod: Its name.
            container: Which of its containers.
            follow: Wait for more until the container ends.
            tail: The last so many lines; None: all.

        Raises:
            NotThereError: The pod is gone.
        """
        return self.server.lines(
            f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log",
            read_seconds=3600.0 if follow else 30.0,
            container=container,
            follow="true" if follow else "",
            tailLines="" if tail is None else str(tail),
        )
