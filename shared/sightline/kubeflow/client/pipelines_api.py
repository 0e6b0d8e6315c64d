"""The pipelines' own API, version v2beta1: documents in, documents out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from sightline.errors import KubeflowError, NotThereError
from sightline.kubeflow.client.http import Document, Server

_API = "/apis/v2beta1"
_PAGE = "100"


@dataclass(frozen=True)
class Health:
    """What the API says of itself.

    Attributes:
        version: Such as 2.17.0; empty where whoever built it did not say.
        multi_user: Whether each namespace has its own runs.
    """

    version: str
    multi_user: bool


class PipelinesApi:
    """The API of one Kubeflow Pipelines, as seen from one namespace.

    Args:
        server: Where it is.
        namespace: Whose runs and experiments; counts in multi-user Kubeflow only.
    """

    def __init__(self, server: Server, namespace: str) -> None:
        self.server = server
        self.namespace = namespace

    @cached_property
    def health(self) -> Health:
        """What the API says of itself.

        Raises:
            KubeflowError: It does not answer, or speaks another version.
        """
        try:
            document = self.server.get(f"{_API}/healthz")
        except NotThereError as error:
            raise KubeflowError(
                f"{self.server.title} at {self.server.url} has no {_API}; Sightline speaks Kubeflow Pipelines 2.x: "
                f"check that the host's path is right, or upgrade Kubeflow ({error})"
            ) from error
        version = str(document.get("tag_name") or "").replace("unknown", "")
        if version.lstrip("v").partition(".")[0].isdigit() and not version.lstrip("v").startswith("2."):
            raise KubeflowError(
                f"{self.server.title} at {self.server.url} is version {version}; Sightline speaks 2.x: upgrade "
                "Kubeflow Pipelines or name another host"
            )
        return Health(version, bool(document.get("multi_user")))

    @property
    def scope(self) -> str:
        """The namespace that requests must name: that of a multi-user Kubeflow, else none."""
        if not self.health.multi_user:
            return ""
        if not self.namespace:
            raise KubeflowError("this Kubeflow has many users; name your namespace with --namespace or KFP_NAMESPACE")
        return self.namespace

    def pipeline_id(self, name: str) -> str | None:
        """The id of a pipeline, or None."""
        try:
            found = self.server.get(f"{_API}/pipelines/names/{quote(name, safe='')}", namespace=self.scope)
        except NotThereError:
            return None
        return str(found["pipeline_id"])

    def create_pipeline(self, name: str, description: str) -> str:
        """Make a pipeline without a version; the id."""
        body = {"name": name, "display_name": name, "description": description, "namespace": self.scope}
        return str(self.server.request("POST", f"{_API}/pipelines", body=body)["pipeline_id"])

    def upload_version(self, pipeline_id: str, name: str, description: str, text: str) -> Document:
        """Make a version of a pipeline of a compiled text."""
        query = {"name": name, "display_name": name, "description": description, "pipelineid": pipeline_id}
        path = f"{_API}/pipelines/upload_version"
        return self.server.request("POST", path, query, upload=("pipeline.yaml", text.encode()))

    def versions(self, pipeline_id: str) -> Iterator[Document]:
        """The versions of a pipeline, newest first."""
        path = f"{_API}/pipelines/{pipeline_id}/versions"
        return self._pages(path, "pipeline_versions", sort_by="created_at desc")

    def version(self, pipeline_id: str, version_id: str) -> Document:
        """One version, with its compiled text as ``pipeline_spec``."""
        return self.server.get(f"{_API}/pipelines/{pipeline_id}/versions/{version_id}")

    def experiment_id(self, name: str) -> str:
        """The id of an experiment, which is made if it is not there."""
        query = {"namespace": self.scope, "filter": _filter("display_name", "EQUALS", name)}
        found = self.server.get(f"{_API}/experiments", **query).get("experiments") or []
        for experiment in found:
            if experiment.get("storage_state") != "ARCHIVED":
                return str(experiment["experiment_id"])
        if found:
            raise KubeflowError(f"experiment {name} is archived; restore it in the dashboard or name another")
        body = {"display_name": name, "namespace": self.scope}
        return str(self.server.request("POST", f"{_API}/experiments", body=body)["experiment_id"])

    def create_run(self, run: Document) -> Document:
        """Start a run."""
        return self.server.request("POST", f"{_API}/runs", {"experiment_id": run["experiment_id"]}, run)

    def run(self, run_id: str) -> Document:
        """One run by its whole id."""
        return self.server.get(f"{_API}/runs/{run_id}")

    def runs(self, limit: int, *, key: str = "", operation: str = "EQUALS", value: str = "") -> list[Document]:
        """The newest runs, of which ``key`` may be asked to equal or contain a value; without their tasks."""
        asked = _filter(key, operation, value) if key else ""
        query = {"namespace": self.scope, "sort_by": "created_at desc", "page_size": str(limit), "filter": asked}
        return list(self.server.get(f"{_API}/runs", **query).get("runs") or [])

    def act(self, run_id: str, verb: str) -> None:
        """``retry`` or ``terminate`` a run."""
        self.server.request("POST", f"{_API}/runs/{run_id}:{verb}", body={})

    def schedules(self) -> Iterator[Document]:
        """All recurring runs."""
        return self._pages(f"{_API}/recurringruns", "recurringRuns", namespace=self.scope, sort_by="created_at desc")

    def create_schedule(self, schedule: Document) -> Document:
        """Make a recurring run."""
        return self.server.request("POST", f"{_API}/recurringruns", body=schedule)

    def switch_schedule(self, schedule_id: str, *, on: bool) -> None:
        """Let a recurring run go on, or pause it."""
        self.server.request("POST", f"{_API}/recurringruns/{schedule_id}:{'enable' if on else 'disable'}", body={})

    def remove_schedule(self, schedule_id: str) -> None:
        """Remove a recurring run; the runs it made stay."""
        self.server.request("DELETE", f"{_API}/recurringruns/{schedule_id}")

    def log_lines(self, run_id: str, node_id: str) -> Iterator[str]:
        """The log of a task's container, from its pod or, when that is gone, from the archive.

        Raises:
            NotThereError: Neither has it.
        """
        beginning = True
        for line in self.server.lines(f"/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"):
            # The back end says 200 before it knows whether there is a log.
            if beginning and line.startswith('{"error_message"'):
                raise NotThereError(f"there is no log of {node_id}: its pod is gone and no archive has it")
            beginning = False
            yield line

    def _pages(self, path: str, key: str, **query: str) -> Iterator[Document]:
        token = ""
        while True:
            page = self.server.get(path, **query, page_size=_PAGE, page_token=token)
            yield from page.get(key) or []
            token = str(page.get("next_page_token") or "")
            if not token:
                return


def _filter(key: str, operation: str, value: str) -> str:
    return json.dumps({"predicates": [{"key": key, "operation": operation, "string_value": value}]})
