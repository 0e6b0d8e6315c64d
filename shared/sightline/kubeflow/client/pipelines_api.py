"""The API of Kubeflow Pipelines, version v2beta1, through ``kfp_server_api``: documents in, documents out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import kfp_server_api

from sightline.errors import KubeflowError, NotThereError
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.client.server import Server

_PAGE = 100
_NEWEST_FIRST = "created_at desc"


@dataclass(frozen=True)
class Health:
    """What the API reports about itself.

    Attributes:
        version: Such as 2.17.0; empty if it was built without one.
        multi_user: Whether each namespace has its own runs.
    """

    version: str
    multi_user: bool


class PipelinesApi:
    """The API of one Kubeflow Pipelines, used for one namespace.

    Args:
        server: Its server.
        namespace: Namespace of runs and experiments; only used in multi-user Kubeflow.
    """

    def __init__(self, server: Server, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        self._pipelines = self._service("pipeline")
        self._experiments = self._service("experiment")
        self._runs = self._service("run")
        self._schedules = self._service("recurring_run")

    def _service(self, name: str) -> Callable[..., Document]:
        """A function that calls a generated class by the short names of its methods."""
        service = getattr(kfp_server_api, f"{name.title().replace('_', '')}ServiceApi")(self.server)

        def ask(verb: str, **given: object) -> Document:
            return self.server.ask(getattr(service, f"{name}_service_{verb}"), **given)

        return ask

    @cached_property
    def health(self) -> Health:
        """What the API reports about itself.

        Raises:
            KubeflowError: It does not answer, or has another version.
        """
        try:
            document = self._service("healthz")("get_healthz")
        except NotThereError as error:
            raise KubeflowError(
                f"{self.server.place} has no /apis/v2beta1; Sightline requires Kubeflow Pipelines 2.x: check the "
                f"path of the host, or upgrade Kubeflow ({error})"
            ) from error
        version = str(document.get("tag_name") or "").replace("unknown", "")
        if version.lstrip("v").partition(".")[0].isdigit() and not version.lstrip("v").startswith("2."):
            raise KubeflowError(
                f"{self.server.place} is version {version}; Sightline requires 2.x: upgrade Kubeflow Pipelines or set "
                "another host"
            )
        return Health(version, bool(document.get("multi_user")))

    @property
    def scope(self) -> str:
        """The namespace for requests: that of a multi-user Kubeflow, otherwise empty."""
        if not self.health.multi_user:
            return ""
        if not self.namespace:
            raise KubeflowError("this Kubeflow is multi-user; set your namespace with --namespace or KFP_NAMESPACE")
        return self.namespace

    def pipeline_id(self, name: str) -> str | None:
        """The id of a pipeline; None if it does not exist."""
        try:
            return str(self._pipelines("get_pipeline_by_name", name=name, namespace=self.scope)["pipeline_id"])
        except NotThereError:
            return None

    def create_pipeline(self, name: str, description: str) -> str:
        """Create a pipeline without a version, and return its id."""
        pipeline = {"name": name, "display_name": name, "description": description, "namespace": self.scope}
        return str(self._pipelines("create_pipeline", pipeline=pipeline)["pipeline_id"])

    def upload_version(self, pipeline_id: str, name: str, description: str, text: str) -> Document:
        """Create a version of a pipeline from compiled text."""
        upload = kfp_server_api.PipelineUploadServiceApi(self.server).upload_pipeline_version
        named = {"name": name, "display_name": name, "description": description, "pipelineid": pipeline_id}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pipeline.yaml")
            path.write_text(text, encoding="utf-8")
            return self.server.ask(upload, uploadfile=str(path), **named)

    def versions(self, pipeline_id: str) -> Iterator[Document]:
        """The versions of a pipeline, newest first."""
        request = {"verb": "list_pipeline_versions", "pipeline_id": pipeline_id}
        return self._pages(self._pipelines, "pipeline_versions", **request)

    def version(self, pipeline_id: str, version_id: str) -> Document:
        """One version, with its compiled text as ``pipeline_spec``."""
        return self._pipelines("get_pipeline_version", pipeline_id=pipeline_id, pipeline_version_id=version_id)

    def experiment_id(self, name: str) -> str:
        """The id of an experiment, which is created if it does not exist."""
        request = {"namespace": self.scope, "filter": _filter("display_name", "EQUALS", name)}
        found = self._experiments("list_experiments", **request).get("experiments") or []
        for experiment in found:
            if experiment.get("storage_state") != "ARCHIVED":
                return str(experiment["experiment_id"])
        if found:
            raise KubeflowError(f"experiment {name} is archived; restore it in the dashboard or use another")
        made = self._experiments("create_experiment", experiment={"display_name": name, "namespace": self.scope})
        return str(made["experiment_id"])

    def create_run(self, run: Document) -> Document:
        """Start a run."""
        return self._runs("create_run", run=run, experiment_id=run["experiment_id"])

    def run(self, run_id: str) -> Document:
        """One run, by its full id."""
        return self._runs("get_run", run_id=run_id)

    def runs(self, limit: int, *, key: str = "", operation: str = "EQUALS", value: str = "") -> list[Document]:
        """The newest runs without their tasks, optionally only those whose ``key`` equals or contains a value."""
        request = {"namespace": self.scope, "filter": _filter(key, operation, value) if key else ""}
        return list(self._runs("list_runs", sort_by=_NEWEST_FIRST, page_size=limit, **request).get("runs") or [])

    def retry(self, run_id: str) -> None:
        """Run those tasks of a failed run that have not succeeded."""
        self._runs("retry_run", run_id=run_id)

    def terminate(self, run_id: str) -> None:
        """Terminate a run."""
        self._runs("terminate_run", run_id=run_id)

    def schedules(self) -> Iterator[Document]:
        """All recurring runs."""
        return self._pages(self._schedules, "recurringRuns", verb="list_recurring_runs", namespace=self.scope)

    def create_schedule(self, schedule: Document) -> Document:
        """Create a recurring run."""
        return self._schedules("create_recurring_run", recurring_run=schedule)

    def switch_schedule(self, schedule_id: str, *, on: bool) -> None:
        """Enable or disable a recurring run."""
        self._schedules(f"{'enable' if on else 'disable'}_recurring_run", recurring_run_id=schedule_id)

    def remove_schedule(self, schedule_id: str) -> None:
        """Remove a recurring run; the runs that it started are kept."""
        self._schedules("delete_recurring_run", recurring_run_id=schedule_id)

    def log_lines(self, run_id: str, node_id: str) -> Iterator[str]:
        """The log of a task's container, from its pod or, if the pod is gone, from the archive.

        Raises:
            NotThereError: Neither has the log.
        """
        path = f"/apis/v1alpha1/runs/{quote(run_id, safe='')}/nodes/{quote(node_id, safe='')}/log"
        call = self.server.call_api  # the only request that the generated classes lack
        lines = self.server.lines(call, resource_path=path, method="GET", _return_http_data_only=True)
        beginning = True
        for line in lines:
            # The back end sends status 200 before it knows whether there is a log.
            if beginning and line.startswith('{"error_message"'):
                raise NotThereError(f"the log of {node_id} is lost: its pod is gone, and its log was not archived")
            beginning = False
            yield line

    def _pages(self, ask: Callable[..., Document], key: str, **request: str) -> Iterator[Document]:
        token = ""
        while True:
            page = ask(**request, sort_by=_NEWEST_FIRST, page_size=_PAGE, page_token=token)
            yield from page.get(key) or []
            token = str(page.get("next_page_token") or "")
            if not token:
                return


def _filter(key: str, operation: str, value: str) -> str:
    return json.dumps({"predicates": [{"key": key, "operation": operation, "string_value": value}]})
