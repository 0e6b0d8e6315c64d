"""The splits that earlier training tags of a dataset gave to their images."""

from __future__ import annotations

import logging
import shlex
from dataclasses import dataclass

from sightline.data.clones import require_not_shallow
from sightline.data.commands import redact
from sightline.data.decisions import last_decision
from sightline.data.history import list_tags, open_history
from sightline.data.removal import find_places
from sightline.data.split import EarlierImage, SplitImage
from sightline.data.tags import DatasetTag, dataset_tags
from sightline.data.training_set import TrainingSet, from_bytes
from sightline.errors import RepositoryError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EarlierVersions:
    """What earlier versions of a dataset decided.

    Attributes:
        tags: Their training tags, the oldest first.
        images: Every image of theirs, once.
        newest: The newest of them; None when there is none.
        decision: The dataset's last decision before they were read (:mod:`sightline.data.decisions`).
    """

    tags: list[str]
    images: list[EarlierImage]
    newest: TrainingSet | None
    decision: str


def earlier_versions(repository: str, tag: DatasetTag, timeout_seconds: float) -> EarlierVersions:
    """Read every other training tag of the dataset of ``tag``; where two contradict each other, the older counts.

    Only ``dataset.json`` is read from each, so this takes no pull.  A training set that was removed counts as
    never made.

    Raises:
        RepositoryError: The repository is a clone that lacks some of them, or a shallow one, which may; or a tag's
            files are missing or damaged on the DVC remote.
    """
    decision = last_decision(repository, tag.dataset, timeout_seconds)
    others = _others(repository, tag, timeout_seconds)
    images: dict[str, EarlierImage] = {}
    newest: TrainingSet | None = None
    with open_history(repository, others, timeout_seconds) as history:
        others.sort(key=lambda other: (history.date(other), other.order))
        for other in others:
            newest = from_bytes(history.read(other, "dataset.json"), f"dataset.json of {other}")
            for image in newest.images:
                facts = SplitImage(image.sha256, int(image.perceptual_hash, 16), image.group)
                images.setdefault(image.sha256, EarlierImage(facts, image.split))
    return EarlierVersions([str(other) for other in others], list(images.values()), newest, decision)


def later_versions(repository: str, tag: DatasetTag, timeout_seconds: float) -> list[str]:
    """The training tags that kept the splits of ``tag``.

    Raises:
        RepositoryError: As :func:`earlier_versions`.
    """
    others = _others(repository, tag, timeout_seconds)
    with open_history(repository, others, timeout_seconds) as history:
        found = {other: from_bytes(history.read(other, "dataset.json"), f"dataset.json of {other}") for other in others}
    return [str(other) for other, training_set in found.items() if str(tag) in training_set.earlier]


def _others(repository: str, tag: DatasetTag, timeout_seconds: float) -> list[DatasetTag]:
    require_not_shallow(repository, timeout_seconds)
    here = list_tags(repository, timeout_seconds)
    known = dataset_tags(here)
    others = [
        other
        for other in known
        if other.kind == "train" and other.dataset == tag.dataset and other.version != tag.version
    ]
    _require_all(repository, tag, {*here}, timeout_seconds)
    return others


def _require_all(repository: str, tag: DatasetTag, here: set[str], timeout_seconds: float) -> None:
    """Refuse a clone that lacks training sets of the repository that it was made from."""
    places = find_places(repository, timeout_seconds)
    if places.clone is None:
        return
    try:
        there = dataset_tags(list_tags(places.origin, timeout_seconds))
    except RepositoryError as error:
        _log.warning(
            "%s may lack versions of %s, which cannot be reached: %s", repository, redact(places.origin), error
        )
        return
    lacking = [
        str(other)
        for other in there
        if (other.dataset, other.kind) == (tag.dataset, "train") and str(other) not in here
    ]
    if lacking:
        raise RepositoryError(
            f"{places.clone} is a clone that lacks training sets which its origin {redact(places.origin)} has: "
            f"{', '.join(lacking)}; fetch them (git -C {shlex.quote(str(places.clone))} fetch --tags), then run the "
            "same command again"
        )
