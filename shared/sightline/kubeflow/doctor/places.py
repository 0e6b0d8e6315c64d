"""Checks of bucket, data repository and database, on a laptop or in a pod with the settings of the tasks."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sightline.kubeflow.doctor.findings import Finding, Level, guarded

WORK = "/var/lib/sightline"
"""Where the work volume is mounted in pods."""

TIMEOUT_SECONDS = 30.0
SMALL_BYTES = 10_000_000
SHARED_MEMORY_BYTES = 1_000_000_000


def examine_places(bucket: str, repository: str, database: str) -> Iterator[Finding]:
    """Check each place by using it as a run does.

    Args:
        bucket: URI of the result bucket; an object is written, read and removed.
        repository: The data repository; its tags are listed, and one file of the newest is fetched from the DVC remote.
        database: URL of the database; its schema is checked.
    """
    yield from guarded("bucket", lambda: _bucket(bucket), "see docs/production.md for permissions and keys")
    yield from guarded("data repository", lambda: _repository(repository), "check data.repository in the settings")
    yield from guarded("database", lambda: _database(database), "check database.url and SIGHTLINE_DATABASE_PASSWORD")


def _bucket(uri: str) -> Iterator[Finding]:
    from sightline.storage import open_storage

    storage = open_storage(uri)
    key, content = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(64)
    storage.write_bytes(key, content, if_generation=0)
    back, _ = storage.read_bytes(key)
    storage.delete(key)
    if back != content:
        yield Finding("bucket", "fault", f"{uri} returned other bytes than were written", "do not use this bucket")
    else:
        yield Finding("bucket", "ok", f"{uri}: an object was written, read and removed")


def _repository(repository: str) -> Iterator[Finding]:
    from sightline.data.git.commands import redact
    from sightline.data.repository.history import list_tags, open_history
    from sightline.data.tags import dataset_tags

    tags = dataset_tags(list_tags(repository, TIMEOUT_SECONDS))
    shown = redact(repository)
    if not tags:
        add = "sightline data add FOLDER --dataset NAME --version V"
        yield Finding("data repository", "warning", f"{shown} has no dataset version yet", add)
        return
    newest = tags[-1]
    with open_history(repository, [newest], TIMEOUT_SECONDS) as history:
        name = sorted(history.manifest(newest), key=len)[0]
        size = len(history.read(newest, name))
    yield Finding("data repository", "ok", f"{shown}: {len(tags)} versions; pulled {name} of {newest} ({size} bytes)")


def _database(url: str) -> Iterator[Finding]:
    from sightline.database.engine.address import shown
    from sightline.database.engine.connection import connect
    from sightline.database.schema.upgrade import head_revision, require_current

    engine = connect(url, create=False)
    require_current(engine)
    yield Finding("database", "ok", f"{shown(engine.url)}: schema {head_revision()}")


def examine_pod(work: Path, code: Path, shared_memory: Path = Path("/dev/shm")) -> Iterator[Finding]:  # noqa: S108
    """Check the volumes and the shared memory of a pod.

    Args:
        work: Where the work volume is mounted.
        code: Where the code volume is mounted.
        shared_memory: Where the data loaders of training pass batches on.
    """
    import shutil

    for name, folder in (("work volume", work), ("code volume", code)):
        free = shutil.disk_usage(folder).free if folder.is_dir() else 0
        probe = folder / f".doctor-{secrets.token_hex(4)}"
        try:
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            owner = (
                f"kubectl apply -k manifests/...: the Job sightline-volume-owner makes user 1000 the owner of {folder}"
            )
            yield Finding(name, "fault", f"{folder} cannot be written: {error.strerror}", owner)
            continue
        level: Level = "warning" if free < SMALL_BYTES * 100 else "ok"
        more = "free some space with sightline gc" if level == "warning" else ""
        yield Finding(name, level, f"{folder}: writable, {free / 1e9:.1f} GB free", more)
    name = "shared memory"
    size = shutil.disk_usage(shared_memory).total if shared_memory.is_dir() else 0
    if size < SHARED_MEMORY_BYTES:
        text = f"{shared_memory} has {size / 1e6:.0f} MB; data loaders need 1 GB for large batches"
        yield Finding(name, "warning", text, "set train.workers=0, or use a pod with a memory-backed /dev/shm")
    else:
        yield Finding(name, "ok", f"{size / 1e9:.1f} GB")
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("image", "ok", f"Python {version}, Sightline {_revision()}")


def _revision() -> str:
    from sightline.version import code_revision

    return code_revision()


def places_of(settings: Mapping[str, Any]) -> tuple[str, str, str]:
    """Bucket, data repository and database of a pod with these settings; by default on the work volume."""
    from sightline.config.settings import merge

    document: dict[str, Any] = {
        "storage": {"uri": f"file://{WORK}/bucket"},
        "data": {"repository": f"{WORK}/data"},
        "database": {"url": f"sqlite:///{WORK}/sightline.sqlite"},
    }
    merge(document, settings)
    return document["storage"]["uri"], document["data"]["repository"], document["database"]["url"]
