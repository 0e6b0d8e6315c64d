"""The checkpoints of a training: written in the background, verified, the previous one kept, copied to the bucket.

A checkpoint is ``<iteration>.safetensors`` with the state and ``<iteration>.json``, which is written last and lists the
SHA-256 of all files that belong to it, the candidates so far included.  A process that is killed at any time leaves the
previous checkpoint usable; so does a file that is damaged later.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.documents import DocumentError, DocumentKind
from sightline.engine.checkpoint import Snapshot, load_checkpoint, read_state, take_snapshot
from sightline.engine.state import Training, TrainingState
from sightline.errors import SightlineError, StepError
from sightline.files import file_sha256, write_atomically
from sightline.storage.base import Storage

KEPT = 2
"""Checkpoints on disk: the last one, and the one before in case the last one is damaged."""

EARLIER_NAME = "checkpoint.safetensors"
"""The only checkpoint of earlier releases, in the parent folder."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Manifest:
    """``<iteration>.json``.

    Attributes:
        iteration: The iteration of the checkpoint.
        files: Name -> SHA-256 of all files that it needs; the state is ``<iteration>.safetensors``.
    """

    iteration: int
    files: dict[str, str]


MANIFEST = DocumentKind("checkpoint manifest", Manifest)


@dataclass(frozen=True, slots=True)
class BucketFolder:
    """A folder of the result bucket.

    Attributes:
        storage: The bucket.
        prefix: The folder's key, without a slash at the end.
    """

    storage: Storage
    prefix: str

    def key(self, name: str) -> str:
        """The key of a file."""
        return f"{self.prefix}/{name}"


def read_manifest(path: Path) -> Manifest:
    """Read ``<iteration>.json``.

    Raises:
        StepError: The file cannot be read, or was written by a later version of Sightline.
    """
    try:
        return MANIFEST.decode(path.read_bytes())
    except (OSError, DocumentError) as error:
        remedy = error.remedy("") if isinstance(error, DocumentError) else ""
        raise StepError(f"{path.name}: {error}{remedy and f'; {remedy}'}") from error


def ranked_name(iteration: int) -> str:
    """The file of a model that is kept while the training runs."""
    return f"candidate-{iteration:08d}.safetensors"


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: Folder on the work volume.
        copy: Folder in the bucket for copies, so that another machine can go on; None: no copies.
        minutes: Longest time between two checkpoints, and shortest time between two copies.
    """

    def __init__(self, folder: Path, copy: BucketFolder | None = None, *, minutes: float = 5.0) -> None:
        self._folder, self._copy, self._seconds = folder, copy, 60 * minutes
        self._saved = self._copied = time.monotonic()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._found: Manifest | None = None
        self._digests: dict[str, str] = {}
        self._in_bucket: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def overdue(self) -> bool:
        """Whether the last checkpoint is older than the limit."""
        return time.monotonic() - self._saved >= self._seconds

    def path(self, name: str) -> Path:
        """A file that belongs to the checkpoints, such as a candidate."""
        return self._folder / name

    def restore(self, training: Training) -> dict[str, dict[str, Any]]:
        """Restore a training from the newest checkpoint that is whole; if there is none, change nothing.

        Returns:
            The states of the hooks, by name.

        Raises:
            StepError: There are checkpoints, but none is usable.
        """
        manifest = self._newest()
        if manifest is not None:
            self._digests = dict(manifest.files)
            return load_checkpoint(self._folder / _state_name(manifest.iteration), training)
        earlier = self._folder.parent / EARLIER_NAME
        return load_checkpoint(earlier, training) if earlier.exists() else {}

    def read_state(self) -> TrainingState:
        """The progress of the newest checkpoint that is whole; the initial state if there is none."""
        manifest = self._newest()
        if manifest is None:
            return read_state(self._folder.parent / EARLIER_NAME)
        return read_state(self._folder / _state_name(manifest.iteration))

    def save(self, training: Training, hooks: Mapping[str, Mapping[str, Any]], *, last: bool = False) -> None:
        """Write a checkpoint in the background; only the first process writes.

        Args:
            training: The training; its state is copied before this returns.
            hooks: States of its hooks.
            last: Whether to wait until it is written.

        Raises:
            StepError or ModelFileError: The last checkpoint could not be written.  A failure of an earlier one is only
                logged, because the one before it is still there.
        """
        if not training.group.is_first:
            return
        self._finish(tolerant=not last)
        self._found = None
        names = [ranked_name(one.iteration) for one in training.state.ranking]
        snapshot = take_snapshot(training, hooks)
        self._saved = time.monotonic()
        copies = self._copy is not None and not last and self._saved - self._copied >= self._seconds
        if copies:
            self._copied = self._saved
        self._writing = self._writer.submit(self._write, snapshot, names, copies)
        if last:
            self._finish(tolerant=False)

    def close(self) -> None:
        """Wait for the checkpoint that is being written."""
        self._finish(tolerant=True)
        self._writer.shutdown()

    def remove(self) -> None:
        """Remove all checkpoints, in the bucket and on disk, when the training is complete and published."""
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder.parent / EARLIER_NAME).unlink(missing_ok=True)
        if self._copy is not None:
            self._delete(self._copy, self._copy.storage.names(f"{self._copy.prefix}/"))

    @staticmethod
    def _delete(copy: BucketFolder, keys: Iterable[str]) -> None:
        """Delete objects, manifests first: one without its files would be found, and fail."""
        for key in sorted(keys, key=lambda key: not key.endswith(".json")):
            copy.storage.delete(key)

    def _finish(self, *, tolerant: bool) -> None:
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        try:
            writing.result()
        except (SightlineError, OSError) as error:
            if not tolerant:
                raise
            _log.warning("could not write a checkpoint, training goes on with the previous one (%s)", error)

    def _write(self, snapshot: Snapshot, names: list[str], copies: bool) -> None:
        state = _state_name(snapshot.iteration)
        snapshot.write(self._folder / state)
        digests = {name: self._digests.get(name) or file_sha256(self._folder / name) for name in names}
        digests[state] = file_sha256(self._folder / state)
        manifest = json.dumps(MANIFEST.encode(Manifest(snapshot.iteration, digests)))
        write_atomically(self._folder / _manifest_name(snapshot.iteration), manifest)
        self._digests = digests
        self._remove_older(snapshot.iteration)
        if copies and self._copy is not None:
            self._upload(self._copy, snapshot.iteration, digests, manifest)

    def _remove_older(self, newest: int) -> None:
        """Remove all but the last checkpoints, and what belongs to none.

        Checkpoints after the newest are damaged, or the training would have resumed from them.  A candidate after it is
        a model that the training has just saved, while this runs in the background.
        """
        numbers = sorted(_numbers(path.name for path in self._folder.iterdir()), reverse=True)
        needed: set[str] = set()
        for number in [number for number in numbers if number <= newest][:KEPT]:
            with contextlib.suppress(StepError):  # damaged since it was written
                needed |= {*read_manifest(self._folder / _manifest_name(number)).files, _manifest_name(number)}
        unneeded = [path for path in self._folder.iterdir() if path.name not in needed and path.name[0] != "."]
        for path in sorted(unneeded, key=lambda path: path.suffix != ".json"):
            if not ranked_name(newest) < path.name < ranked_name(10**8):
                path.unlink()

    def _newest(self) -> Manifest | None:
        """The newest checkpoint that is whole, on disk or fetched from the bucket; verified once until the next."""
        if self._found is None:
            self._found = self._search()
        return self._found

    def _search(self) -> Manifest | None:
        places: list[tuple[int, bool, Callable[[int], Manifest]]] = [
            (number, True, self._verified) for number in _numbers(path.name for path in self._folder.iterdir())
        ]
        if self._copy is not None:
            prefix = f"{self._copy.prefix}/"
            names = (key.removeprefix(prefix) for key in self._copy.storage.names(prefix))
            places += [(number, False, self._fetched) for number in _numbers(names)]
        failure: Exception | None = None
        for number, local, read in sorted(places, key=lambda place: place[:2], reverse=True):
            try:
                return read(number)
            except (SightlineError, OSError, DocumentError) as error:
                where = "on disk" if local else "in the bucket"
                _log.warning("the checkpoint of iteration %d %s is not usable (%s)", number, where, error)
                failure = failure or error
        if failure is not None:
            raise StepError(
                f"no checkpoint in {self._folder} is usable ({failure}); remove the folder to train from scratch"
            ) from failure
        return None

    def _verified(self, number: int) -> Manifest:
        manifest = read_manifest(self._folder / _manifest_name(number))
        if manifest.iteration != number or _state_name(number) not in manifest.files:
            raise StepError(f"{_manifest_name(number)} describes another checkpoint")
        for name, sha256 in manifest.files.items():
            path = self._folder / Path(name).name
            if not path.is_file():
                raise StepError(f"{name} is missing")
            if file_sha256(path) != sha256:
                raise StepError(f"{name} is truncated or damaged: its sha256 is not {sha256[:16]}...")
        return manifest

    def _fetched(self, number: int) -> Manifest:
        assert self._copy is not None  # noqa: S101
        storage, name = self._copy.storage, _manifest_name(number)
        content, _ = storage.read_bytes(self._copy.key(name))
        for file, sha256 in MANIFEST.decode(content).files.items():
            path = self._folder / Path(file).name
            if not (path.is_file() and file_sha256(path) == sha256):
                storage.download(self._copy.key(path.name), path)
        write_atomically(self._folder / name, content.decode())
        manifest = self._verified(number)
        self._in_bucket = dict(manifest.files)
        _log.info("fetched the checkpoint of iteration %d from %s", number, storage.uri_of(self._copy.prefix))
        return manifest

    def _upload(self, copy: BucketFolder, number: int, digests: Mapping[str, str], manifest: str) -> None:
        try:
            present = set(copy.storage.names(f"{copy.prefix}/"))
            for name, sha256 in digests.items():
                if self._in_bucket.get(name) != sha256:
                    copy.storage.upload(self._folder / name, copy.key(name))
                    self._in_bucket[name] = sha256
            copy.storage.write_bytes(copy.key(_manifest_name(number)), manifest.encode())
            kept = {copy.key(name) for name in (*digests, _manifest_name(number))}
            self._delete(copy, present - kept)
        except SightlineError as error:
            _log.warning("could not copy the checkpoint of iteration %d to the bucket (%s)", number, error)


def _state_name(number: int) -> str:
    return f"{number:08d}.safetensors"


def _manifest_name(number: int) -> str:
    return f"{number:08d}.json"


def _numbers(names: Iterator[str]) -> list[int]:
    """The iterations of all manifests among some names."""
    stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return [int(stem) for stem in stems if stem.isascii() and stem.isdigit()]
