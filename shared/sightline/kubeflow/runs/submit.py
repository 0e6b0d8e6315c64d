"""Versions of the pipeline, and starting a run of one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sightline import strict_yaml
from sightline.errors import NotThereError
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.client.pipelines_api import PipelinesApi
from sightline.kubeflow.runs.graph import Vertex, read_graph, split_spec
from sightline.kubeflow.runs.lookup import Run


@dataclass(frozen=True)
class Version:
    """A version of a pipeline with its compiled text.

    Attributes:
        pipeline_id: Id of the pipeline; empty before the upload.
        version_id: Id of the version; empty before the upload.
        spec: The pipeline part of the compiled text.
        platform: The platform part.
    """

    pipeline_id: str
    version_id: str
    spec: Document
    platform: Document

    @property
    def parameters(self) -> dict[str, Document]:
        """The parameters that the pipeline declares."""
        definitions = (self.spec.get("root") or {}).get("inputDefinitions") or {}
        return dict(definitions.get("parameters") or {})

    def graph(self, given: Mapping[str, Any]) -> tuple[Vertex, ...]:
        """The graph of a run with these parameters."""
        return read_graph(self.spec, self.platform, given)


def compiled_version(text: str) -> Version:
    """A version that is not uploaded yet, from its compiled text, for checks before the upload."""
    spec, platform = (strict_yaml.decode(part) or {} for part in text.partition("\n---\n")[::2])
    return Version("", "", spec, platform)


def read_version(api: PipelinesApi, pipeline_id: str, version_id: str) -> Version:
    """A version, from the back end."""
    spec, platform = split_spec(api.version(pipeline_id, version_id).get("pipeline_spec") or {})
    return Version(pipeline_id, version_id, spec, platform)


def run_name(parameters: Mapping[str, Any], now: datetime | None = None) -> str:
    """The name of a run: recipe, dataset tag, time (UTC), and four random digits for runs of the same second."""
    stamp = f"{now or datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    return " ".join([str(parameters.get("recipe", "run")), str(parameters.get("dataset_tag", "")), stamp])


def start_run(
    api: PipelinesApi,
    version: Version,
    parameters: Mapping[str, Any],
    *,
    experiment_id: str,
    service_account: str = "",
    description: str = "",
) -> Document:
    """Start a run of a version.

    ``enable_caching`` is not set, because it would override the caching options of the tasks.

    Args:
        api: The API to use.
        version: The version to run.
        parameters: Parameters of the run.
        experiment_id: Id of the experiment.
        service_account: Service account of the pods; empty: Kubeflow's default.
        description: Shown in the dashboard.

    Returns:
        The run as returned by the API.
    """
    body: Document = {
        "display_name": run_name(parameters),
        "description": description,
        "experiment_id": experiment_id,
        "pipeline_version_reference": {
            "pipeline_id": version.pipeline_id,
            "pipeline_version_id": version.version_id,
        },
        "runtime_config": {"parameters": dict(parameters)},
    }
    if service_account:
        body["service_account"] = service_account
    return api.create_run(body)


def version_of(api: PipelinesApi, run: Run) -> Version:
    """The pipeline version of a run.

    Raises:
        NotThereError: The version was removed, or the run has none.
    """
    if not run.version_id:
        raise NotThereError(
            f"run {run.run_id} was not started from an uploaded version of the pipeline; use `run` instead"
        )
    try:
        return read_version(api, run.pipeline_id, run.version_id)
    except NotThereError as error:
        raise NotThereError(f"version {run.version_id} of run {run.run_id} was removed; use `run` instead") from error
