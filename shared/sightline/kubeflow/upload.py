"""Put the compiled pipeline where Kubeflow finds it: each content once, as a version that is named by it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sightline.errors import KubeflowError, TakenError
from sightline.kubeflow.pipelines_api import PipelinesApi

DIGITS = 12
"""Hexadecimal digits of the content's SHA-256 in a version's name."""

_SAME_CONTENT = 100


@dataclass(frozen=True)
class Uploaded:
    """A version of the pipeline that holds the text.

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
    """Make the newest version of a pipeline hold this text; where it does already, nothing is sent.

    The newest counts, because schedules follow it: a text that was uploaded before and then replaced becomes a
    version once more.

    Args:
        api: Where.
        pipeline: Its name; it is made if it is not there.
        text: The compiled pipeline.
        description: Of the version.

    Raises:
        KubeflowError: The back end refuses the text or the name.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    pipeline_id = api.pipeline_id(pipeline)
    change = "new version of pipeline"
    names: list[str] = []
    if pipeline_id is None:
        pipeline_id, change = _create(api, pipeline), "new pipeline"
    else:
        for version in api.versions(pipeline_id):
            names.append(str(version["display_name"]))
            if len(names) == 1 and names[0].partition("-")[0] == digest:
                version_id = str(version["pipeline_version_id"])
                return Uploaded(pipeline, pipeline_id, names[0], version_id, "unchanged: pipeline")
    for number in range(1, _SAME_CONTENT):
        name = digest if number == 1 else f"{digest}-{number}"
        if name in names:
            continue
        try:
            made = api.upload_version(pipeline_id, name, description, text)
        except TakenError:  # somebody uploads the same at this moment, or did so under a name that no list shows
            continue
        return Uploaded(pipeline, pipeline_id, name, str(made["pipeline_version_id"]), change)
    raise KubeflowError(f"pipeline {pipeline} has {_SAME_CONTENT} versions of this content; remove old ones")


def _create(api: PipelinesApi, name: str) -> str:
    try:
        return api.create_pipeline(name, "Labelled images in; a selected, tested and traceable vision model out.")
    except TakenError as error:
        made = api.pipeline_id(name)  # by somebody else, a moment ago
        if made is None:
            raise TakenError(
                f"the name {name} is taken by a pipeline that you cannot see; choose another with --pipeline ({error})"
            ) from error
        return made
