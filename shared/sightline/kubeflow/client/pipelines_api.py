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
        self._pipelines = self._service("pipeline")
        self._experiments = self._service("experiment")
        self._runs = self._service("run")
        self._schedules = self._service("recurring_run")

    def _service(self, name: str) -> Callable[..., Document]:
        """Asks one of the generated classes by the short names of its methods."""
        service = getattr(kfp_server_api, f"{name.title().replace('_', '')}ServiceApi")(self.server)

        def ask(verb: str, **given: object) -> Document:
            return self.server.ask(getattr(service, f"{name}_service_{verb}"), **given)

        return ask

    @cached_property
    def health(self) -> Health:
        """What the API says of itself.

        Raises:
            KubeflowError: It does not answer, or speaks another version.
        """
        try:
            document = self._service("healthz")("get_healthz")
        except NotThereError as error:
            raise KubeflowError(
                f"{self.server.place} has no /apis/v2beta1; Sightline speaks Kubeflow Pipelines 2.x: check that the "
                f"host's path is right, or upgrade Kubeflow ({error})"
            ) from error
        version = str(document.get("tag_name") or "").replace("unknown", "")
        if version.lstrip("v").partition(".")[0].isdigit() and not version.lstrip("v").startswith("2."):
            raise KubeflowError(
                f"{self.server.place} is version {version}; Sightline speaks 2.x: upgrade Kubeflow Pipelines or name "
                "another host"
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
            return str(self._pipelines("get_pipeline_by_name", name=name, namespace=self.scope)["pipeline_id"])
        except NotThereError:
            return None

    def create_pipeline(self, name: str, description: str) -> str:
        """Make a pipeline without a version; the id."""
        pipeline = {"name": name, "display_name": name, "description": description, "namespace": self.scope}
        return str(self._pipelines("create_pipeline", pipeline=pipeline)["pipeline_id"])

    def upload_version(self, pipeline_id: str, name: str, description: str, text: str) -> Document:
        """Make a version of a pipeline of a compiled text."""
        upload = kfp_server_api.PipelineUploadServiceApi(self.server).upload_pipeline_version
        named = {"name": name, "display_name": name, "description": description, "pipelineid": pipeline_id}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pipeline.yaml")
            path.write_text(text, encoding="utf-8")
            return self.server.ask(upload, uploadfile=str(path), **named)

    def versions(self, pipeline_id: str) -> Iterator[Document]:
        """The versions of a pipeline, newest first."""
        asked = {"verb": "list_pipeline_versions", "pipeline_id": pipeline_id}
        return self._pages(self._pipelines, "pipeline_versions", **asked)

    def version(self, pipeline_id: str, version_id: str) -> Document:
        """One version, with its compiled text as ``pipeline_spec``."""
        return self._pipelines("get_pipeline_version", pipeline_id=pipeline_id, pipeline_version_id=version_id)

    def experiment_id(self, name: str) -> str:
        """The id of an experiment, which is made if it is not there."""
        asked = {"namespace": self.scope, "filter": _filter("display_name", "EQUALS", name)}
        found = self._experiments("list_experiments", **asked).get("experiments") or []
        for experiment in found:
            if experiment.get("storage_state") != "ARCHIVED":
                return str(experiment["experiment_id"])
        if found:
            raise KubeflowError(f"experiment {name} is archived; restore it in the dashboard or name another")
        made = self._experiments("create_experiment", experiment={"display_name": name, "namespace": self.scope})
        return str(made["experiment_id"])

    def create_run(self, run: Document) -> Document:
        """Start a run."""
        return self._runs("create_run", run=run, experiment_id=run["experiment_id"])

    def run(self, run_id: str) -> Document:
        """One run by its whole id."""
        return self._runs("get_run", run_id=run_id)

    def runs(self, limit: int, *, key: str = "", operation: str = "EQUALS", value: str = "") -> list[Document]:
        """The newest runs, of which ``key`` may be asked to equal or contain a value; without their tasks."""
        asked = {"namespace": self.scope, "filter": _filter(key, operation, value) if key else ""}
        return list(self._runs("list_runs", sort_by=_NEWEST_FIRST, page_size=limit, **asked).get("runs") or [])

    def retry(self, run_id: str) -> None:
        """Run the tasks of a failed run that have not succeeded."""
        self._runs("retry_run", run_id=run_id)

    def terminate(self, run_id: str) -> None:
        """End a run."""
        self._runs("terminate_run", run_id=run_id)

    def schedules(self) -> Iterator[Document]:
        """All recurring runs."""
        return self._pages(self._schedules, "recurringRuns", verb="list_recurring_runs", namespace=self.scope)

    def create_schedule(self, schedule: Document) -> Document:
        """Make a recurring run."""
        return self._schedules("create_recurring_run", recurring_run=schedule)

    def switch_schedule(self, schedule_id: str, *, on: bool) -> None:
        """Let a recurring run go on, or pause it."""
        self._schedules(f"{'enable' if on else 'disable'}_recurring_run", recurring_run_id=schedule_id)

    def remove_schedule(self, schedule_id: str) -> None:
        """Remove a recurring run; the runs it made stay."""
        self._schedules("delete_recurring_run", recurring_run_id=schedule_id)

    def log_lines(self, run_id: str, node_id: str) -> Iterator[str]:
        """The log of a task's container, from its pod or, when that is gone, from the archive.

        Raises:
            NotThereError: Neither has it.
        """
        path = f"/apis/v1alpha1/runs/{quote(run_id, safe='')}/nodes/{quote(node_id, safe='')}/log"
        call = self.server.call_api  # the one request that is in no description of the API
        lines = self.server.lines(call, resource_path=path, method="GET", _return_http_data_only=True)
        beginning = True
        for line in lines:
            # The back end says 200 before it knows whether there is a log.
            if beginning and line.startswith('{"error_message"'):
                raise NotThereError(f"there is no log of {node_id}: its pod is gone and no archive has it")
            beginning = False
            yield line

    def _pages(self, ask: Callable[..., Document], key: str, **asked: str) -> Iterator[Document]:
        token = ""
        while True:
            page = ask(**asked, sort_by=_NEWEST_FIRST, page_size=_PAGE, page_token=token)
            yield from page.get(key) or []
            token = str(page.get("next_page_token") or "")
            if not token:
                return


def _filter(key: str, operation: str, value: str) -> str:
    return json.dumps({"predicates": [{"key": key, "operation": operation, "string_value": value}]})
