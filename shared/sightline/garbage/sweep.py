"""Finding and removing garbage in the result bucket and on the work volume."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import sightline_bootstrap
from sightline.config.schema import Config
from sightline.data.git.commands import explain_os_errors
from sightline.data.workspace import Workspace
from sightline.database import Database, open_database
from sightline.errors import ConfigurationError
from sightline.garbage.bucket import Bucket
from sightline.garbage.checkouts import Checkouts
from sightline.garbage.code import BucketCode, VolumeCode
from sightline.garbage.data_cache import DataCache
from sightline.garbage.found import Garbage, Place, SafetyAge, local_now, storage_now, volume_now
from sightline.garbage.volume import Leftovers, RunFolders, StepFolders
from sightline.lock import exclusive_lock
from sightline.logs import Progress
from sightline.storage import Storage, open_storage

MIN_AGE = timedelta(hours=1)
"""Minimum safety age; younger objects are never removed."""


@dataclass(slots=True)
class Sweep:
    """The garbage found and removed.

    Attributes:
        garbage: All garbage that was found.
        removed: The garbage that was removed; empty if only a search was requested.
        notes: Objects that were kept, and why.
    """

    garbage: list[Garbage] = field(default_factory=list)
    removed: list[Garbage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def sweep(config: Config, older_than: timedelta, *, delete: bool) -> Sweep:
    """Find garbage, and remove it if requested; if it is killed, the next call continues.

    Args:
        config: The locations of bucket, database, work volume and data repository.
        older_than: Safety age: objects written or used more recently are kept; at least :data:`MIN_AGE`.
        delete: Whether to remove the garbage.

    Raises:
        CodeError: The current code cannot be determined, or the code volume is not writable.
        ConfigurationError: The age is too small.
        DatabaseError: The database cannot be read, so it is unknown which objects are needed.
        RepositoryError: The data repository cannot be reached, or another garbage collection is running.
        StorageError: The bucket cannot be read or changed.
        StepError: A document with references cannot be read, or the database does not belong to the bucket.
    """
    if older_than < MIN_AGE:
        raise ConfigurationError(
            f"a minimum age of {older_than} is too short, because a run in progress still needs the files that it "
            f"wrote recently; expected {MIN_AGE} or more"
        )
    storage, work = open_storage(config.storage.uri), Path(config.work.dir)
    done = Sweep()
    with (
        explain_os_errors(f"collect garbage in {work}"),
        closing(open_database(config.database.url, create=False)) as database,
        _alone(work) if delete else nullcontext(),
    ):
        for place in _places(config, storage, database, older_than, delete=delete):
            wholes = {entry.what for entry in done.garbage}
            found = [entry for entry in place.find() if not wholes & set(map(str, Path(entry.what).parents))]
            done.garbage += found
            if delete:
                with Progress("remove garbage", total=len(found), unit="entries") as progress:
                    done.removed += progress.track(place.remove(found))
            done.notes += dict.fromkeys(place.notes)
    return done


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    with exclusive_lock(work / "gc.lock", 0.0):
        yield


def _places(
    config: Config, storage: Storage, database: Database, older_than: timedelta, *, delete: bool
) -> Iterator[Place]:
    """All places in order: the garbage found in one place may turn objects in the next one into garbage."""
    work, code = Path(config.work.dir), os.environ.get(sightline_bootstrap.VARIABLE)
    there = SafetyAge(storage_now(storage) if delete else local_now(), older_than)
    yield Bucket(storage, database, there)
    yield BucketCode(storage, database, there)
    if code and Path(code).is_dir():
        age = SafetyAge(volume_now(Path(code)) if delete else local_now(), older_than)
        yield VolumeCode(Path(code).absolute(), database, age)
    if not work.is_dir():
        return
    here = SafetyAge(volume_now(work) if delete else local_now(), older_than)
    yield StepFolders(work, storage, here)
    yield RunFolders(work, database, here)
    yield Checkouts(Workspace.of(config), database, here)
    yield DataCache(Workspace.of(config), database, here)
    yield Leftovers(work, here)
