"""Upload of the compiled pipeline, as a version that is named after its content."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from sightline.errors import TakenError
from sightline.kubeflow.client.pipelines_api import PipelinesApi

DIGITS = 12
"""Hexadecimal digits of the content's SHA-256 in a version's name."""

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Uploaded:
    """A version of the pipeline with the uploaded text.

    Attributes:
        pipeline: Its name.
        pipeline_id: Its id.
        version: The version's name.
        version_id: The version's id.
        change: What was done.
    """

    pipeline: str
    pipeline_id: str
    version: str
    version_id: str
    change: str

    def __str__(self) -> str:
        return f"{self.change} {self.pipeline}, version {self.version} ({self.version_id})"


def upload(api: PipelinesApi, pipeline: str, text: str, description: str = "") -> Uploaded:
    """Upload a text as the newest version of a pipeline, unless that has the same text.

    Only the newest version is compared, because schedules follow it: a text that was uploaded before and then replaced
    is uploaded again.

    Args:
        api: The API to use.
        pipeline: Name of the pipeline; created if missing.
        text: The compiled pipeline.
        description: Description of the version.

    Raises:
        KubeflowError: The back end rejects the text or the name.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    pipeline_id = api.pipeline_id(pipeline)
    change = "new version of pipeline" if pipeline_id else "new pipeline"
    pipeline_id = pipeline_id or _create(api, pipeline)
    for _ in range(_ATTEMPTS):
        there = [(str(one["display_name"]), str(one["pipeline_version_id"])) for one in api.versions(pipeline_id)]
        if there and there[0][0].partition("-")[0] == digest:
            return Uploaded(pipeline, pipeline_id, *there[0], "unchanged: pipeline")
        same = sum(name.partition("-")[0] == digest for name, _ in there)
        name = f"{digest}-{same + 1}" if same else digest
        try:
            made = api.upload_version(pipeline_id, name, description, text)
        except TakenError:  # someone else is uploading the same text
            time.sleep(_PAUSE_SECONDS)
            continue
        return Uploaded(pipeline, pipeline_id, name, str(made["pipeline_version_id"]), change)
    raise TakenError(
        f"pipeline {pipeline} has a version {digest} that the API does not list; remove it in the dashboard, or "
        "choose another name with --pipeline"
    )


def _create(api: PipelinesApi, name: str) -> str:
    try:
        return api.create_pipeline(name, "Labeled images in; a selected, tested and traceable vision model out.")
    except TakenError as error:
        made = api.pipeline_id(name)  # created by someone else just now
        if made is None:
            raise TakenError(
                f"the name {name} is used by a pipeline that you cannot see; choose another with --pipeline ({error})"
            ) from error
        return made
