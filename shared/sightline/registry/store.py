"""Finished results in the result bucket: found by a digest of their inputs, published with ``result.json`` last.

Two processes may publish the same result concurrently, with files of the same names but other bytes: a report contains
its creation time.  So the files of one publication are in a folder named by their contents,
``results/<step>/<tag>/<key>/<publication>/``, and ``results/<step>/<tag>/<key>/result.json``, which is written only if
it does not exist, refers to one of them.  Readers begin with ``result.json`` and never mix two publications.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mimetypes
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sightline import strict_json
from sightline.config.digest import StepName
from sightline.documents import DocumentError
from sightline.errors import DamagedObjectError, ObjectNotFoundError, PreconditionFailedError, StepError
from sightline.logs import Progress
from sightline.pod import current_run_id
from sightline.registry.results import (
    PUBLICATION,
    RESULTS,
    EvaluateResult,
    Publication,
    RecordResult,
    TestResult,
    TrainResult,
)
from sightline.storage import ObjectInfo, Storage, Upload

CHECKPOINTS = "checkpoint"
"""Folder, in the folder of the result of a training, for copies of the checkpoints of an unfinished one."""

Result = TypeVar("Result", RecordResult, TrainResult, EvaluateResult, TestResult)

STEP_OF: dict[type, StepName] = {
    RecordResult: "record",
    TrainResult: "train",
    EvaluateResult: "evaluate",
    TestResult: "test",
}


def folder_key(step: str, tag: str, key: str) -> str:
    """The folder with the ``result.json`` of a result and its publications: ``results/<step>/<tag>/<key>``."""
    return f"results/{step}/{tag}/{key}"


def to_json(result: Result) -> str:
    """A result as JSON, as stored in the journal."""
    return json.dumps(RESULTS[type(result)].encode(result))


def from_json(kind: type[Result], text: str) -> Result:
    """Parse a result written by :func:`to_json`.

    Raises:
        StepError: The text is not a result of this kind.
    """
    try:
        result: Result = RESULTS[kind].decode(text)
    except DocumentError as error:
        raise _unreadable(kind, error) from error
    return result


def to_parameter(result: Result) -> str:
    """A result as JSON for a ``dict`` parameter of the next task; None values are left out.

    Kubeflow's local runner rejects null within a parameter.  Neither runner nor back end preserves the order of keys or
    the difference between 1 and 1.0, so no result may depend on them.  The cache does not either: the fingerprint of a
    task (``GenerateFingerPrint`` of the back end's ``cacheutils``) is computed from its parameters with sorted keys and
    floats only, so equal results give equal fingerprints.
    """
    return json.dumps(strict_json.without_nulls(RESULTS[type(result)].encode(result)))


def from_parameter(kind: type[Result], text: str) -> Result:
    """Parse a result written by :func:`to_parameter`, as Kubeflow passes it to the next task.

    Args:
        kind: The class of the result.
        text: The JSON of a ``dict`` parameter, in which every number may be a float: 12.0 is accepted as 12 if an
            integer is expected, 12.5 is rejected.  Or the JSON of :func:`to_json`, which earlier releases pass.

    Raises:
        StepError: It is not a result of this kind.
    """
    try:
        document = strict_json.decode(text)
        result: Result = RESULTS[kind].decode_value(strict_json.whole_numbers(document))
    except strict_json.JsonError as error:
        raise _unreadable(kind, DocumentError(str(error))) from error
    except DocumentError as error:
        raise _unreadable(kind, error) from error
    return result


def _result(kind: type[Result], publication: Publication) -> Result:
    try:
        result: Result = RESULTS[kind].decode_value(publication.result)
    except DocumentError as error:
        raise _unreadable(kind, error) from error
    return result


def _unreadable(kind: type, error: DocumentError) -> StepError:
    step = STEP_OF[kind]
    return StepError(f"the result of {step} cannot be read ({error}); {error.remedy(f'run {step} again')}")


def find_result(storage: Storage, kind: type[Result], tag: str, key: str) -> Result | None:
    """The finished result of this step for this tag and key, or None."""
    path = f"{folder_key(STEP_OF[kind], tag, key)}/result.json"
    if storage.stat(path) is None:
        return None
    return _result(kind, _read(storage, path))


def latest_result(storage: Storage, kind: type[Result], tag: str, config_digest: str) -> Result | None:
    """The newest finished result of this step for this tag and configuration, with any code, or None."""
    return next(results(storage, kind, tag, config_digest), None)


def results(storage: Storage, kind: type[Result], tag: str, config_digest: str) -> Iterator[Result]:
    """The finished results of this step for this tag and configuration, with any code, newest first.

    The order is that of the storage's clock: the clocks of publishing machines may differ by days.
    """
    found = [
        (key, document) for key, document in _documents(storage, kind, tag) if document.config_digest == config_digest
    ]
    for document in _newest_first(storage, found):
        yield _result(kind, document)


def latest_of_dataset(storage: Storage, kind: type[Result], dataset: str, config_digest: str) -> Result | None:
    """As :func:`latest_result`, for the newest result on any version of a dataset."""
    prefix = f"results/{STEP_OF[kind]}/"
    tags = {key.split("/")[2] for key in storage.names(f"{prefix}{dataset}_train_") if key.count("/") == 4}
    found = [
        (key, document)
        for tag in sorted(tags)
        for key, document in _documents(storage, kind, tag)
        if document.config_digest == config_digest
    ]
    newest = _newest_first(storage, found)
    return _result(kind, newest[0]) if newest else None


def results_of_dataset(storage: Storage, kind: type[Result], dataset: str) -> Iterator[Result]:
    """The finished results of this step on all versions of a dataset, newest first; unreadable ones are left out."""
    prefix = f"results/{STEP_OF[kind]}/"
    tags = {key.split("/")[2] for key in storage.names(f"{prefix}{dataset}_train_") if key.count("/") == 4}
    found = []
    for tag in sorted(tags):
        for key in storage.names(f"{prefix}{tag}/"):
            if key.count("/") == 4 and key.endswith("/result.json"):
                with contextlib.suppress(StepError, DamagedObjectError, ObjectNotFoundError):
                    found.append((key, _read(storage, key)))
    for document in _newest_first(storage, found):
        with contextlib.suppress(StepError):
            yield _result(kind, document)


def result_of_run(storage: Storage, kind: type[Result], tag: str, run_id: str) -> Result | None:
    """The result of this step for this tag that a run published, or None if it published none."""
    for _, document in _documents(storage, kind, tag):
        if document.run_id == run_id:
            return _result(kind, document)
    return None


def folder_of(storage: Storage, result: Result) -> str:
    """The key of the folder in the bucket with the files of a published result."""
    uri = result.history.rpartition("/")[0] if isinstance(result, TrainResult) else result.files
    return uri.removeprefix(storage.uri + "/")


def created(storage: Storage, result: Result) -> datetime:
    """Time of publication of a result, UTC."""
    return datetime.fromisoformat(_document(storage, result).created)


def run_of(storage: Storage, result: Result) -> str:
    """The run that published a result; empty if it was published outside a run, or by an older release."""
    return _document(storage, result).run_id


def publish_result(
    storage: Storage, result: Result, tag: str, key: str, *, files: Path, config_digest: str, replace: bool = False
) -> Result:
    """Upload the files of a result, then ``result.json``; if another process was first, return its result.

    Args:
        storage: The result bucket.
        result: The result; its URIs point below :func:`folder_key` and are changed to the folder of the publication.
        tag: The dataset tag that the result belongs to.
        key: Digest of its inputs (:func:`sightline.config.digest.step_key`).
        files: A folder; all its files are uploaded with their relative paths.
        config_digest: Digest of the part of the configuration that the step depends on.
        replace: Replace an older result with the same key.

    Returns:
        The published result.

    Raises:
        StorageError: The bucket is not writable; calling again resumes the upload.
        StepError: An uploaded file no longer exists.
    """
    step = STEP_OF[type(result)]
    folder = folder_key(step, tag, key)
    paths = {path.relative_to(files).as_posix(): path for path in sorted(files.rglob("*")) if path.is_file()}
    publication = f"{folder}/{_digest(paths)}"
    uploaded = _upload(storage, step, publication, paths)
    document = Publication(
        result=_moved(RESULTS[type(result)].encode(result), storage.uri_of(folder), storage.uri_of(publication)),
        config_digest=config_digest,
        created=datetime.now(UTC).isoformat(timespec="microseconds"),
        run_id=current_run_id(),
        folder=publication,
        files={
            name: {"type": mimetypes.guess_type(name)[0], "size": info.size, "crc32c": info.crc32c}
            for name, info in uploaded.items()
        },
    )
    data = json.dumps(PUBLICATION.encode(document), indent=1).encode()
    try:
        storage.write_bytes(f"{folder}/result.json", data, if_generation=None if replace else 0)
    except PreconditionFailedError:
        published = find_result(storage, type(result), tag, key)
        if published is None:
            raise
        return published
    return _result(type(result), document)


def _digest(paths: Mapping[str, Path]) -> str:
    """The name of a publication: 16 hexadecimal digits derived from the names and contents of its files."""
    whole = hashlib.sha256()
    for name, path in paths.items():
        with path.open("rb") as stream:
            whole.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\0".encode())
    return whole.hexdigest()[:16]


def _upload(storage: Storage, step: str, folder: str, paths: Mapping[str, Path]) -> dict[str, ObjectInfo]:
    """Upload the files of a publication, and check the objects in the bucket; returns them by relative path."""
    written: dict[str, ObjectInfo] = {}
    total = sum(path.stat().st_size for path in paths.values())
    with Progress(f"publish {step} result", total=total, unit="bytes") as progress:
        items = (Upload(path, f"{folder}/{name}") for name, path in paths.items())
        for outcome in storage.upload_many(items, progress):
            if outcome.error:
                raise outcome.error
            assert outcome.info is not None  # noqa: S101
            written[outcome.key] = outcome.info
    present = {info.key: info for info in storage.list(f"{folder}/")}
    for key, info in written.items():
        if present.get(key) != info:
            raise StepError(
                f"{storage.uri_of(key)} was changed or removed while it was being published; run {step} again"
            )
    return {name: written[f"{folder}/{name}"] for name in paths}


def _moved(value: Any, before: str, after: str) -> Any:  # noqa: ANN401
    """A JSON value in which every URI at or below ``before`` is changed to ``after``."""
    if isinstance(value, dict):
        return {name: _moved(entry, before, after) for name, entry in value.items()}
    if isinstance(value, list):
        return [_moved(entry, before, after) for entry in value]
    if isinstance(value, str) and (value == before or value.startswith(f"{before}/")):
        return after + value.removeprefix(before)
    return value


def _document(storage: Storage, result: Result) -> Publication:
    """The ``result.json`` next to the folder of a result's files."""
    return _read(storage, f"{folder_of(storage, result).rpartition('/')[0]}/result.json")


def _documents(storage: Storage, kind: type[Result], tag: str) -> Iterator[tuple[str, Publication]]:
    for key in storage.names(f"results/{STEP_OF[kind]}/{tag}/"):
        if key.count("/") == 4 and key.endswith("/result.json"):
            yield key, _read(storage, key)


def _newest_first(storage: Storage, found: list[tuple[str, Publication]]) -> list[Publication]:
    if len(found) > 1:
        found.sort(key=lambda entry: (_written(storage, entry[0]), entry[1].created), reverse=True)
    return [document for _, document in found]


def _written(storage: Storage, key: str) -> datetime:
    info = storage.stat(key)
    return info.updated if info and info.updated else datetime.min.replace(tzinfo=UTC)


def _read(storage: Storage, key: str) -> Publication:
    try:
        document = PUBLICATION.decode(storage.read_bytes(key)[0])
        datetime.fromisoformat(document.created)
    except ValueError as error:
        otherwise = "remove it and run the step again"
        remedy = error.remedy(otherwise) if isinstance(error, DocumentError) else otherwise
        raise StepError(f"{storage.uri_of(key)} is not a result of a step ({error}); {remedy}") from error
    return document
