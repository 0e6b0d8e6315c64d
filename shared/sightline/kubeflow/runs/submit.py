"""Start runs: find or make what they belong to, check what they stand on, then hand them over."""

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
        pipeline_id: Which pipeline; empty where it is not uploaded.
        version_id: Which version; empty where it is not uploaded.
        spec: The pipeline's part of the compiled text.
        platform: The platform's part.
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
        """The graph in a run with these parameters."""
        return read_graph(self.spec, self.platform, given)


def compiled_version(text: str) -> Version:
    """A version that is not uploaded yet, from its compiled text: what can be checked before anything is sent."""
    spec, platform = (strict_yaml.decode(part) or {} for part in text.partition("\n---\n")[::2])
    return Version("", "", spec, platform)


def read_version(api: PipelinesApi, pipeline_id: str, version_id: str) -> Version:
    """A version, from the back end."""
    spec, platform = split_spec(api.version(pipeline_id, version_id).get("pipeline_spec") or {})
    return Version(pipeline_id, version_id, spec, platform)


def run_name(parameters: Mapping[str, Any], now: datetime | None = None) -> str:
    """What a run is called: recipe, dataset tag, the time (UTC), and four digits that tell runs of one second apart."""
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

    ``enable_caching`` is left alone: set for a run, it overrules what each task says of itself.

    Args:
        api: Where.
        version: What runs.
        parameters: With what.
        experiment_id: In which experiment.
        service_account: Service account of its pods; empty: the back end's choice.
        description: Shown in the dashboard.

    Returns:
        The run as the API gives it.
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
    """The version that a run is of.

    Raises:
        NotThereError: It was removed since.
    """
    if not run.version_id:
        raise NotThereError(f"run {run.run_id} brought its own text and is of no uploaded version; use run instead")
    try:
        return read_version(api, run.pipeline_id, run.version_id)
    except NotThereError as error:
        raise NotThereError(f"the version {run.version_id} of run {run.run_id} was removed; use run instead") from error
