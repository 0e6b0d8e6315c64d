"""Checks before an upload, and the upload."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sightline.kubeflow.client.connection import Kubeflow
    from sightline.kubeflow.runs.submit import Version


def checked(
    kubeflow: Kubeflow, compiled: Callable[[], str], asked: tuple[str, Sequence[str], str, Sequence[str]]
) -> tuple[str, dict[str, Any]]:
    """Check everything about a new run, or a schedule of them, before anything is sent to Kubeflow.

    Args:
        kubeflow: The Kubeflow to use.
        compiled: Compiles the pipeline.
        asked: Recipe, overrides, code revision and ``name=value`` of other parameters.

    Returns:
        The compiled text and the parameters of the run.

    Raises:
        ConfigurationError: Lists every error of the configuration.
        NotReadyError: A requirement is missing in the cluster.
    """
    from sightline.kubeflow.runs.launch import require_ready
    from sightline.kubeflow.runs.parameters import new_parameters
    from sightline.kubeflow.runs.submit import compiled_version

    text = compiled()
    version = compiled_version(text)
    parameters = new_parameters(version.parameters, *asked, usual=kubeflow.parameters)
    require_ready(kubeflow, version, parameters, kubeflow.service_account)
    return text, parameters


def upload_version(kubeflow: Kubeflow, compiled: str, pipeline: str) -> Version:
    """Upload a compiled pipeline if needed, and print what was done."""
    from sightline.kubeflow.runs.schedules import unfit_schedules
    from sightline.kubeflow.runs.submit import read_version
    from sightline.kubeflow.runs.upload import upload
    from sightline.version import code_revision

    uploaded = upload(kubeflow.api, pipeline, compiled, f"Sightline {code_revision()}")
    click.echo(str(uploaded))
    version = read_version(kubeflow.api, uploaded.pipeline_id, uploaded.version_id)
    if uploaded.change.startswith("new version"):
        for schedule, names in unfit_schedules(kubeflow.api, version):
            click.echo(
                f"schedule {schedule.name} cannot start runs of this version, in which {', '.join(names)} has another "
                f"type or does not exist: python pipeline.py schedule remove {schedule.name}, then add it again",
                err=True,
            )
    return version
