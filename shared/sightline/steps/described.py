"""The descriptions of training sets and models for Kubeflow: its ``Dataset`` and ``Model`` artifacts.

An artifact is a pointer with a description, for Kubeflow's lineage and dashboard: its URI refers to our own object, and
no task uses it as an input, because Kubeflow would copy the object into the pod.  The next task needs only the result.

Kubeflow's launcher (``uploadOutputArtifacts`` and ``KeyFromURI`` in ``launcher_v2.go`` of every back end up to 2.17)
fails a task whose artifact has a ``gs://``, ``s3://`` or ``minio://`` URI outside the run's own folder in Kubeflow's
store; URIs with other schemes are recorded unchanged, and nothing is copied.  So an object of Google Storage gets the
URI ``gcs://bucket/key``, as in fsspec, and the metadata contain the ``gs://`` URI.

Metadata are strings and numbers: the launcher rejects null, and the dashboard shows other types as raw JSON.
"""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from sightline.config.schema import Config
from sightline.config.task_declarations import index_metrics
from sightline.data.git.references import local_path
from sightline.database import open_database
from sightline.errors import DatabaseError
from sightline.registry.results import EvaluateResult, RecordResult, Selection, TrainResult

Metadata = dict[str, str | float]


class Artifact(Protocol):
    """The part of a Kubeflow artifact that is set here."""

    uri: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Description:
    """The URI and metadata of an artifact.

    Attributes:
        uri: Location of the object.
        metadata: Name -> string or number.
    """

    uri: str
    metadata: Metadata

    def write_to(self, artifact: Artifact) -> None:
        """Set URI and metadata of a Kubeflow artifact."""
        artifact.uri = self.uri
        artifact.metadata.update(self.metadata)


def training_set(config: Config, result: RecordResult) -> Description:
    """The training set that record published, at its tag in the data repository."""
    counts: Metadata = {f"{split}_images": count for split, count in result.images.items()}
    return Description(
        git_uri(config.data.repository, result.training_tag, f"training/{result.dataset}"),
        {
            "display_name": result.training_tag,
            "dataset": result.dataset,
            "training_tag": result.training_tag,
            "training_commit": result.training_commit,
            "annotation_tag": result.annotation_tag,
            "annotation_commit": result.annotation_commit,
            "dvc_md5": result.digest,
            "classes": ", ".join(config.data.classes),
            **counts,
            "report": f"{result.files}/report.html",
        },
    )


def candidate(config: Config, result: TrainResult) -> Description:
    """The first candidate of train."""
    best = result.candidates[0]
    trained_on = result.trained_on or result.training_tag
    said: Metadata = {
        "display_name": f"{trained_on} {best.name}",
        "training_tag": trained_on,
        "iteration": best.iteration,
    }
    return _model(config, best.uri, best.sha256, best.metrics, said)


def selected(config: Config, result: EvaluateResult) -> Description:
    """The model that evaluate selected by the first metric: the champion if it stays, otherwise the best candidate."""
    return _selected(config, result, result.selections[0], "champion" if result.selections[0].champion_stays else "")


def champion(config: Config, result: EvaluateResult) -> Description | None:
    """The new champion by the first metric that has one; None if there is no new champion."""
    chosen = next((one for one in result.selections if one.promoted), None)
    return None if chosen is None else _selected(config, result, chosen, "champion")


def _selected(config: Config, result: EvaluateResult, chosen: Selection, role: str) -> Description:
    model = next(one for one in result.models if one.sha256 == chosen.sha256)
    said: Metadata = {
        "display_name": f"{model.training_tag} {role or model.name} by {chosen.metric}",
        "training_tag": model.training_tag,
        "role": role or "candidate",
        "selected_by": chosen.metric,
        "reason": chosen.reason,
        "evaluated_on": result.training_tag,
    }
    return _model(config, chosen.uri, chosen.sha256, model.metrics, said)


def _model(config: Config, uri: str, sha256: str, metrics: dict[str, float], said: Metadata) -> Description:
    known = None
    with suppress(DatabaseError), closing(open_database(config.database.url)) as database:
        known = database.model(sha256)  # a missing description is not a reason to fail a finished task
    headlines = [name for name in index_metrics(config.task) if name in metrics]
    return Description(
        object_uri(uri),
        {
            **said,
            "task": config.task,
            "sha256": sha256,
            "code_revision": known.code_rev if known is not None else "",  # of the run that created it, not of this one
            **{f"val_{name}": metrics[name] for name in headlines},
            "storage_uri": uri,
        },
    )


def object_uri(uri: str) -> str:
    """The URI of an object of the result bucket for an artifact.

    Example:
        >>> object_uri("gs://models/a/b.safetensors"), object_uri("file:///models/b.safetensors")
        ('gcs://models/a/b.safetensors', 'file:///models/b.safetensors')
    """
    return f"gcs://{uri.removeprefix('gs://')}" if uri.startswith("gs://") else uri


def git_uri(repository: str, tag: str, path: str) -> str:
    """A folder at a tag of a Git repository, in SPDX's format (``git+https://host/x.git@tag#path``).

    Args:
        repository: Address or path of the repository.
        tag: The tag.
        path: The folder in the repository.

    Example:
        >>> git_uri("git@host:team/data.git", "plates_train_v1", "training/plates")
        'git+ssh://git@host/team/data.git@plates_train_v1#training/plates'
    """
    host, colon, there = repository.partition(":")
    if "://" in repository:
        address = repository
    elif colon and "/" not in host and not local_path(repository).exists():
        address = f"ssh://{host}/{there.lstrip('/')}"
    else:
        address = local_path(repository).absolute().as_uri()
    return f"git+{address}@{tag}#{path}"
