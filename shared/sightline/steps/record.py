"""Record: creates a training tag from an annotation tag.

Repeating it changes nothing; if it is killed at any point, the same call completes it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path

from sightline.config.difference import differences_from_stored
from sightline.config.digest import config_digest, relevant_part, step_key
from sightline.config.schema import Config
from sightline.data.annotations import Annotations, Fault
from sightline.data.dvc.objects import read_dvc_file
from sightline.data.formats.reading import stopping_faults
from sightline.data.formats.registry import read_annotations
from sightline.data.git.commands import explain_os_errors
from sightline.data.git.decisions import OutpacedError
from sightline.data.git.origin import find_places, follow, require_same_tags
from sightline.data.git.references import read_references
from sightline.data.recording.earlier import earlier_versions
from sightline.data.recording.faults import fault_message
from sightline.data.recording.training_set import Origin, TrainingSet, build_training_set
from sightline.data.recording.training_tag import (
    PublishedSet,
    find_training_tag,
    publish_training_tag,
)
from sightline.data.repository.checkout import Checkout, checked_out, remove_abandoned
from sightline.data.repository.history import list_tags
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.database import CategoryCount, Database, ImageRecord, VersionRecord, open_database
from sightline.errors import ConfigurationError, DataError, RepositoryError
from sightline.files import write_atomically
from sightline.registry.results import RecordResult
from sightline.registry.store import find_result, folder_key, publish_result
from sightline.steps.record_report import write_report
from sightline.storage import Storage, open_storage
from sightline.temporary_folder import temporary_folder

_log = logging.getLogger(__name__)


def run(config: Config, code: str) -> RecordResult:
    """Record an annotation tag as a training tag, at the origin if ``data.repository`` is a clone.

    Args:
        config: ``data.tag`` is the annotation tag.
        code: Digest of the step's code; with other code the report is written again, but the training tag never
            changes.

    Returns:
        The published training set, which is also stored under the training tag in the result bucket.

    Raises:
        ConfigurationError: ``data.tag`` is not an annotation tag.
        UnknownTagError: The data repository does not have it.
        DataError: The annotations have faults (all of them are listed), or there are too few images.
        RepositoryError: Git or DVC failed, the tag was moved, or the training tag exists with other contents.
        VersionConflictError: The database contains the version with other contents.
    """
    tag = _annotation_tag(config)
    places = find_places(config.data.repository, config.data.timeout_seconds)
    require_same_tags(places, tag.dataset, config.data.timeout_seconds)
    origin = config.model_copy(update={"data": config.data.model_copy(update={"repository": places.origin})})
    storage = open_storage(config.storage.uri)
    with closing(open_database(config.database.url)) as database:
        _retire_removed(origin, tag, database)
        result = _record(origin, tag, code, storage, database)
    follow(places, tag.dataset, config.data.timeout_seconds)
    return result


def _record(config: Config, tag: DatasetTag, code: str, storage: Storage, database: Database) -> RecordResult:
    began = time.monotonic()
    with _source(config, tag, database) as source:
        key = step_key("record", config, source.commit, code)
        finished = find_result(storage, RecordResult, str(tag.training), key)
        if finished is not None and _stands(finished, config, database):
            _log.info("%s is recorded already: %s", tag, tag.training)
            return finished
        remove_abandoned(Workspace.of(config).publications)
        published = _find(config, source) or _publish(config, source)
        _register(database, source, published)
        with temporary_folder("record") as folder:
            write_report(Path(folder), published, source, config)
            result = _result(storage, published, key, seconds=time.monotonic() - began)
            replace = finished is not None
            return publish_result(
                storage, result, result.training_tag, key, files=Path(folder),
                config_digest=config_digest("record", config), replace=replace,
            )  # fmt: skip


def _annotation_tag(config: Config) -> DatasetTag:
    tag = DatasetTag.parse(config.data.tag)
    if tag.kind != "ann":
        raise ConfigurationError(
            f"data.tag is {tag}, a training tag; record starts from annotations: set it to {tag.annotations}"
        )
    return tag


def _retire_removed(config: Config, tag: DatasetTag, database: Database) -> None:
    """Free the names of removed versions in the database, in case their removal was interrupted."""
    removed = read_references(config.data.repository, config.data.timeout_seconds).removed
    for name in (str(tag), str(tag.training)):
        for commit in sorted(removed.get(name, ())):
            database.retire_version(name, commit)


def _source(config: Config, tag: DatasetTag, database: Database) -> AbstractContextManager[Checkout]:
    known = database.version(str(tag))
    commit = known.record.commit if known else ""
    return checked_out(Workspace.of(config), str(tag), expected_commit=commit, recorded_in=config.database.url)


def _stands(result: RecordResult, config: Config, database: Database) -> bool:
    """Whether the tag and the database rows of a finished result still exist."""
    commit = list_tags(config.data.repository, config.data.timeout_seconds).get(result.training_tag)
    rows = [database.version(tag) for tag in (result.annotation_tag, result.training_tag)]
    return commit == result.training_commit and all(row is not None for row in rows)


def _find(config: Config, source: Checkout) -> PublishedSet | None:
    """The training set that an earlier call published, if it was created from the same data with the same settings."""
    tag = DatasetTag.parse(source.tag).training
    published = find_training_tag(config.data.repository, tag, config.data.timeout_seconds)
    if published is not None:
        _require_same(published.training_set, config, source)
    return published


def _require_same(found: TrainingSet, config: Config, source: Checkout) -> None:
    tag = DatasetTag.parse(source.tag)
    reasons = [
        f"{one.path} was {one.before!r} and is {one.now!r}"
        for one in differences_from_stored(found.configuration, relevant_part("record", config))
    ]
    if found.annotation_commit != source.commit:
        reasons.insert(0, f"{source.tag} pointed to commit {found.annotation_commit}, now {source.commit}")
    if reasons:
        raise RepositoryError(
            f"{tag.training} already exists, but was created in a different way: {'; '.join(reasons)}. A version "
            "never changes: restore the configuration, add the annotations as a new version (sightline data add), "
            f"or, if no model was trained on it, remove it and record again (sightline data remove {tag.training})"
        )


def _publish(config: Config, source: Checkout) -> PublishedSet:
    """Read, validate, split, merge and publish; repeat the split if another version was published first."""
    tag = DatasetTag.parse(source.tag)
    annotations = read_annotations(source.path / tag.folder, config.data)
    _stop_on_faults(annotations, config, source)
    deadline = time.monotonic() + config.data.timeout_seconds
    while True:
        try:
            return _split_and_publish(annotations, config, source)
        except OutpacedError as error:
            if time.monotonic() > deadline:
                raise RepositoryError(
                    f"{tag.training} could not be published in {config.data.timeout_seconds:g} s, because other "
                    f"versions of {tag.dataset} kept being recorded or removed ({error}); run the same command again"
                ) from error
            _log.info("another version of %s was recorded or removed; splitting %s again", tag.dataset, tag)


def _split_and_publish(annotations: Annotations, config: Config, source: Checkout) -> PublishedSet:
    tag = DatasetTag.parse(source.tag)
    earlier = earlier_versions(config.data.repository, tag.training, config.data.timeout_seconds)
    origin = Origin(
        tag.dataset,
        tag.version,
        source.tag,
        source.commit,
        config_digest("record", config),
        relevant_part("record", config),
        earlier.tags,
    )
    training_set, documents, images = build_training_set(annotations, earlier.images, origin, config.data)
    published = publish_training_tag(
        Workspace.of(config), source, training_set, documents, images, last_decision=earlier.decision
    )
    _require_same(published.training_set, config, source)
    for warning in published.training_set.warnings:
        _log.warning("%s: %s", tag, warning)
    return published


def _stop_on_faults(annotations: Annotations, config: Config, source: Checkout) -> None:
    faults: list[Fault] = stopping_faults(annotations, config.data.faults)
    if not faults:
        return
    path = Path(config.work.dir) / "faults" / f"{source.tag}.txt"
    with explain_os_errors("write the list of faults"):
        write_atomically(path, "".join(f"{fault}\n" for fault in faults))
    raise DataError(fault_message(source.tag, faults, annotations, config.data, path))


def _register(database: Database, source: Checkout, published: PublishedSet) -> None:
    """Register both versions, each in one transaction; existing rows are kept."""
    found = published.training_set
    tag = DatasetTag.parse(source.tag)
    digest = read_dvc_file((source.path / tag.dvc_file).read_text(encoding="utf-8"), tag.dvc_file).md5
    annotations = VersionRecord(tag.dataset, tag.version, "annotations", source.tag, source.commit, digest)
    totals = {"": {name: sum(counts[name] for counts in found.instances.values()) for name in found.classes}}
    showing = {"": {name: sum(counts[name] for counts in found.showing.values()) for name in found.classes}}
    images = [image for image in _images(found, split="") if image.path.startswith(tag.folder)]
    database.register_version(annotations, images, _categories(totals, showing))
    training = VersionRecord(
        tag.dataset, tag.version, "training", str(tag.training), published.commit, published.digest, source.tag,
        found.configuration_digest,
    )  # fmt: skip
    database.register_version(training, _images(found), _categories(found.instances, found.showing))


def _images(found: TrainingSet, split: str | None = None) -> list[ImageRecord]:
    return [
        ImageRecord(
            image.split if split is None else split,
            image.file_name,
            image.sha256,
            image.size_bytes,
            image.width,
            image.height,
            image.group,
        )
        for image in found.images
    ]


def _categories(
    instances: Mapping[str, Mapping[str, int]], showing: Mapping[str, Mapping[str, int]]
) -> list[CategoryCount]:
    return [
        CategoryCount(name, split, count, showing[split][name])
        for split, counts in instances.items()
        for name, count in counts.items()
    ]


def _result(storage: Storage, published: PublishedSet, key: str, seconds: float) -> RecordResult:
    found = published.training_set
    tag = DatasetTag.parse(found.annotation_tag).training
    return RecordResult(
        dataset=found.dataset,
        version=found.version,
        annotation_tag=found.annotation_tag,
        annotation_commit=found.annotation_commit,
        training_tag=str(tag),
        training_commit=published.commit,
        digest=published.digest.removesuffix(".dir"),
        images=found.images_per_split,
        instances=found.instances,
        dropped=found.dropped,
        warnings=found.warnings,
        files=storage.uri_of(folder_key("record", str(tag), key)),
        seconds=seconds,
    )
