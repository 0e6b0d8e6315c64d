"""Finished results in the result bucket: found by what they were made from, published with ``result.json`` last."""

from __future__ import annotations

import dataclasses
import json
import mimetypes
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sightline import strict_json
from sightline.config.digest import StepName
from sightline.errors import PreconditionFailedError, StepError
from sightline.logs import Progress
from sightline.steps.journal import current_run_id
from sightline.steps.results import EvaluateResult, RecordResult, TestResult, TrainResult
from sightline.storage.base import Storage

Result = TypeVar("Result", RecordResult, TrainResult, EvaluateResult, TestResult)

STEP_OF: dict[type, StepName] = {
    RecordResult: "record",
    TrainResult: "train",
    EvaluateResult: "evaluate",
    TestResult: "test",
}


def folder_key(step: str, tag: str, key: str) -> str:
    """Where a result and its files lie in the bucket: ``results/<step>/<tag>/<key>``."""
    return f"results/{step}/{tag}/{key}"


def to_json(result: Result) -> str:
    """A result as the string that travels between tasks."""
    return json.dumps(dataclasses.asdict(result))


def from_json(kind: type[Result], text: str) -> Result:
    """The result that :func:`to_json` wrote.

    Raises:
        StepError: The text is not a result of this kind.
    """
    try:
        return strict_json.decode_as(kind, text)
    except strict_json.JsonError as error:
        raise StepError(
            f"the result of {STEP_OF[kind]} cannot be read ({error}); it was written by another version of Sightline: "
            f"run {STEP_OF[kind]} again"
        ) from error


def find_result(storage: Storage, kind: type[Result], tag: str, key: str) -> Result | None:
    """The finished result of this step for this tag and key, or None."""
    path = f"{folder_key(STEP_OF[kind], tag, key)}/result.json"
    if storage.stat(path) is None:
        return None
    return from_json(kind, json.dumps(_read(storage, path)["result"]))


def latest_result(storage: Storage, kind: type[Result], tag: str, config_digest: str) -> Result | None:
    """The newest finished result of this step for this tag and configuration, whatever code made it, or None."""
    newest = max(
        (document for document in _documents(storage, kind, tag) if document["config_digest"] == config_digest),
        key=lambda document: str(document["created"]),
        default=None,
    )
    return None if newest is None else from_json(kind, json.dumps(newest["result"]))


def folder_of(storage: Storage, result: Result) -> str:
    """The key of the folder in the bucket that a published result names."""
    uri = result.history.rpartition("/")[0] if isinstance(result, TrainResult) else result.files
    return uri.removeprefix(storage.uri + "/")


def created(storage: Storage, result: Result) -> datetime:
    """When a result was published, UTC."""
    return datetime.fromisoformat(_read(storage, f"{folder_of(storage, result)}/result.json")["created"])


def run_of(storage: Storage, result: Result) -> str:
    """The run that published a result; empty where none did, or where an older Sightline did not say."""
    return str(_read(storage, f"{folder_of(storage, result)}/result.json").get("run_id", ""))


def publish_result(
    storage: Storage, result: Result, tag: str, key: str, *, files: Path, config_digest: str, replace: bool = False
) -> Result:
    """Upload the files of a result, then ``result.json``; where another did so first, theirs is returned.

    Args:
        storage: The result bucket.
        result: What to publish; its URIs already point below :func:`folder_key`.
        tag: The dataset tag that the result belongs to.
        key: What it was made from (:func:`sightline.config.digest.step_key`).
        files: A folder; everything in it is uploaded under its relative path.
        config_digest: Digest of the part of the configuration that the step depends on.
        replace: Put this result in the place of an older one with the same key.

    Returns:
        The result that is published now.
    """
    folder = folder_key(STEP_OF[type(result)], tag, key)
    paths = sorted(path for path in files.rglob("*") if path.is_file())
    with Progress(f"publish {STEP_OF[type(result)]} result", total=len(paths), unit="files") as progress:
        for path in progress.track(paths):
            storage.upload(path, f"{folder}/{path.relative_to(files).as_posix()}")
    document = {
        "result": dataclasses.asdict(result),
        "config_digest": config_digest,
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "run_id": current_run_id(),
        "files": {path.relative_to(files).as_posix(): mimetypes.guess_type(path.name)[0] for path in paths},
    }
    data = json.dumps(document, indent=1).encode()
    try:
        storage.write_bytes(f"{folder}/result.json", data, if_generation=None if replace else 0)
    except PreconditionFailedError:
        published = find_result(storage, type(result), tag, key)
        assert published is not None  # noqa: S101
        return published
    return result


def _documents(storage: Storage, kind: type[Result], tag: str) -> Iterator[dict[str, Any]]:
    for info in storage.list(f"results/{STEP_OF[kind]}/{tag}/"):
        if info.key.count("/") == 4 and info.key.endswith("/result.json"):
            yield _read(storage, info.key)


def _read(storage: Storage, key: str) -> dict[str, Any]:
    try:
        document = strict_json.decode(storage.read_bytes(key)[0])
        if not isinstance(document, dict) or not {"result", "config_digest", "created"} <= document.keys():
            raise strict_json.JsonError("result, config_digest or created is missing")
        datetime.fromisoformat(str(document["created"]))
    except ValueError as error:
        raise StepError(
            f"{storage.uri_of(key)} is not a result of a step ({error}); remove it and run the step again"
        ) from error
    return document
