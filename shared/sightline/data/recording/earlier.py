"""The splits of images in earlier training tags of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.data.git.clones import require_not_shallow
from sightline.data.git.decisions import last_decision
from sightline.data.recording.split import EarlierImage, SplitImage
from sightline.data.recording.training_set import TrainingSet, from_bytes
from sightline.data.repository.history import list_tags, open_history
from sightline.data.tags import DatasetTag, dataset_tags


@dataclass(frozen=True, slots=True)
class EarlierVersions:
    """The splits and images of earlier versions of a dataset.

    Attributes:
        tags: Their training tags, oldest first.
        images: Every image of these versions, once.
        newest: The newest of these versions; None if there is none.
        decision: The dataset's last decision before the tags were read (:mod:`sightline.data.git.decisions`).
    """

    tags: list[str]
    images: list[EarlierImage]
    newest: TrainingSet | None
    decision: str


def earlier_versions(repository: str, tag: DatasetTag, timeout_seconds: float) -> EarlierVersions:
    """Read all other training tags of the dataset of ``tag``; if two contradict each other, the older one is used.

    Only ``dataset.json`` is read from each, so this requires no pull.  Removed training sets are ignored.

    Raises:
        RepositoryError: The repository is a shallow clone, which may lack tags; or a tag's files are missing or
            damaged on the DVC remote.
    """
    decision = last_decision(repository, tag.dataset, timeout_seconds)
    others = _others(repository, tag, timeout_seconds)
    images: dict[str, EarlierImage] = {}
    newest: TrainingSet | None = None
    with open_history(repository, others, timeout_seconds) as history:
        others.sort(key=lambda other: (history.date(other), other.order))
        for other in others:
            newest = from_bytes(history.read(other, "dataset.json"), f"dataset.json of {other}")
            folds = max((image.fold for image in newest.images), default=0)
            for image in newest.images:
                facts = SplitImage(image.sha256, int(image.perceptual_hash, 16), image.group)
                images.setdefault(image.sha256, EarlierImage(facts, image.split, image.fold, folds))
    return EarlierVersions([str(other) for other in others], list(images.values()), newest, decision)


def later_versions(repository: str, tag: DatasetTag, timeout_seconds: float) -> list[str]:
    """The training tags that are based on the splits of ``tag``.

    Raises:
        RepositoryError: As for :func:`earlier_versions`.
    """
    others = _others(repository, tag, timeout_seconds)
    with open_history(repository, others, timeout_seconds) as history:
        found = {other: from_bytes(history.read(other, "dataset.json"), f"dataset.json of {other}") for other in others}
    return [str(other) for other, training_set in found.items() if str(tag) in training_set.earlier]


def _others(repository: str, tag: DatasetTag, timeout_seconds: float) -> list[DatasetTag]:
    require_not_shallow(repository, timeout_seconds)
    known = dataset_tags(list_tags(repository, timeout_seconds))
    return [
        other
        for other in known
        if other.kind == "train" and other.dataset == tag.dataset and other.version != tag.version
    ]
