"""Garbage in the result bucket.

A new reference to an object is only created by a process that has just written or renewed the object, or that copies
the reference from an existing document.  So an unreferenced object of an old generation stays unreferenced, and is
deleted with this generation as a precondition.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sightline.database import Database
from sightline.errors import PreconditionFailedError, StepError
from sightline.garbage.found import CLOCKS, Garbage, Kind, SafetyAge
from sightline.garbage.naming import is_named, named_keys, read_document
from sightline.logs import Progress
from sightline.registry.store import CHECKPOINTS
from sightline.storage import ObjectInfo, Storage

_RESULT = re.compile(r"results/(?:record|train|evaluate|test)/[^/]+/[0-9a-f]{16}(?=/.)")
_MODEL = re.compile(r"evaluation/[^/]+/[^/]+/[0-9a-f]{16}(?=/.)")
_MODEL_FILE = re.compile(r"manifest\.json|model\.safetensors|summary(?:-[0-9a-f]{16})?\.json")
_CURRENT = re.compile(r"evaluation/[^/]+/[^/]+/CURRENT\.json")
_CHAMPION = re.compile(r"champions/[^/]+/(?:[^/]+/)?[^/]+\.json")
_HISTORY = re.compile(r"champions/[^/]+/(?:[^/]+/)?[^/]+/history/[0-9]{6,}\.json")
_CODE = re.compile(r"code/(?:snapshots/[0-9a-f]{64}|CURRENT)\.json")
_POINTERS = "pointers"


@dataclass(frozen=True, slots=True)
class _Suspect:
    """Old objects that are not referenced by documents next to them."""

    kind: Kind
    folder: str
    objects: list[ObjectInfo]
    reason: str


class Bucket:
    """Garbage collection in the result bucket.

    Args:
        storage: The bucket.
        database: The database with its models.
        safety_age: Measured by the bucket's clock.
    """

    def __init__(self, storage: Storage, database: Database, safety_age: SafetyAge) -> None:
        self.notes: list[str] = []
        self._storage, self._database, self._safety_age = storage, database, safety_age
        self._named: set[str] = set()
        self._champions: dict[str, str] = {}
        self._strangers: list[str] = []
        self._judged: dict[str, list[ObjectInfo]] = {}

    def find(self) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`.

        Raises:
            StepError: A document that may refer to objects cannot be read, or the database does not belong to this
                bucket.
        """
        with Progress("look through the result bucket", unit="objects") as progress:
            suspects = list(self._suspects(progress.track(self._storage.list())))
        rows = self._database.references()
        self._require_known_champions(rows.models)
        self._named.update(key for uri in rows.models.values() for key in named_keys(uri))
        for suspect in suspects:
            objects = suspect.objects
            promoted = any(sha256[:16] == _name(suspect.folder) for sha256 in rows.promoted)
            if promoted or any(is_named(info.key, self._named) for info in objects):
                continue
            self._judged[suspect.folder] = objects
            yield Garbage(
                suspect.kind,
                suspect.folder,
                sum(info.size for info in objects),
                len(objects),
                max(info.updated for info in objects if info.updated is not None),
                suspect.reason,
            )
        if self._strangers:
            self.notes.append(
                f"{len(self._strangers)} objects of {self._storage.uri} were not created by Sightline and are kept, "
                f"such as {self._strangers[0]}"
            )

    def remove(self, garbage: Sequence[Garbage]) -> Iterator[Garbage]:
        """See :class:`~sightline.garbage.found.Place`."""
        for entry in garbage:
            objects, named = self._judged[entry.what], self._named_now(entry)
            if not any(is_named(info.key, named) for info in objects) and self._delete(objects):
                yield entry

    def _suspects(self, found: Iterable[ObjectInfo]) -> Iterator[_Suspect]:
        """Check all objects in the order of their keys, and collect references of documents on the way."""
        for folder, group in itertools.groupby(found, lambda info: _folder(info.key)):
            objects = list(group)
            if folder == _POINTERS:
                self._follow(objects)
            elif folder.startswith("results/"):
                yield from self._suspects_of_result(folder, objects)
            elif folder.startswith("evaluation/") and all(_MODEL_FILE.fullmatch(_name(info.key)) for info in objects):
                if self._all_old(objects):
                    reason = "no result, champion or database row refers to it"
                    yield _Suspect("model", folder, objects, reason)
            elif folder == CLOCKS:
                if self._all_old(objects):
                    yield _Suspect("temporary", folder, objects, "left by a process that was killed")
            else:  # code snapshots are handled by another place
                self._strangers += [info.key for info in objects if not _CODE.fullmatch(info.key)]

    def _follow(self, pointers: Iterable[ObjectInfo]) -> None:
        for info in pointers:
            document = read_document(self._storage, info.key)
            self._named.update(named_keys(document))
            if _CHAMPION.fullmatch(info.key) and document is not None:
                self._champions[info.key] = str(document.get("sha256")) if isinstance(document, dict) else ""

    def _suspects_of_result(self, folder: str, objects: list[ObjectInfo]) -> Iterator[_Suspect]:
        manifest = f"{folder}/result.json"
        document = read_document(self._storage, manifest) if any(info.key == manifest for info in objects) else None
        files = _files(folder, document)
        # A result also refers to its own folder, which does not mean that all files in it are needed.
        self._named.update({*named_keys(document), *files} - {folder})
        reason = "its result.json was never written" if document is None else "result.json no longer lists it"
        unnamed = [info for info in objects if info.key not in files]
        if document is None:
            unnamed = self._without_checkpoints(f"{folder}/{CHECKPOINTS}", unnamed)
        for publication, group in itertools.groupby(unnamed, lambda info: _publication(folder, info.key)):
            left = list(group)
            if self._all_old(left):
                yield _Suspect("result", publication, left, reason)

    def _without_checkpoints(self, copies: str, objects: list[ObjectInfo]) -> list[ObjectInfo]:
        """The objects outside of ``copies``, the checkpoints of an unfinished training; a note names old ones."""
        kept = {info.key: info for info in objects if info.key.startswith(f"{copies}/")}
        if kept and self._all_old(kept.values()):
            self.notes.append(
                f"{self._storage.uri_of(copies)} is a copy of an unfinished training and is kept: the command that "
                "started it resumes from there; delete the folder if it is no longer needed"
            )
        return [info for info in objects if info.key not in kept]

    def _require_known_champions(self, models: dict[str, str]) -> None:
        """A champion is registered before its pointer is updated; an unknown champion belongs to another database."""
        for key, sha256 in self._champions.items():
            if sha256 not in models:
                raise StepError(
                    f"{self._storage.uri_of(key)} refers to the champion {sha256[:16]}, which {self._database} does "
                    "not have: it is not the database of this bucket, so nothing was removed; set database.url and "
                    "storage.uri to a matching pair"
                )

    def _named_now(self, entry: Garbage) -> set[str]:
        """The objects that documents next to them refer to now, including recently written documents."""
        if entry.kind == "result":
            folder = _folder(f"{entry.what}/file")
            return _files(folder, read_document(self._storage, f"{folder}/result.json"))
        if entry.kind == "model":
            pointers = [f"{entry.what.rpartition('/')[0]}/CURRENT.json"]
            pointers += [info.key for info in self._storage.list("champions/")]
            return {key for pointer in pointers for key in named_keys(read_document(self._storage, pointer))}
        return set()

    def _delete(self, objects: Iterable[ObjectInfo]) -> bool:
        """Delete objects if their generation is unchanged, manifests first; False if one was written meanwhile."""
        for info in sorted(objects, key=lambda info: not info.key.endswith("/manifest.json")):
            try:
                self._storage.delete(info.key, if_generation=info.generation)
            except PreconditionFailedError:
                return False
        return True

    def _all_old(self, objects: Iterable[ObjectInfo]) -> bool:
        return all(self._safety_age.reached_by(info.updated) for info in objects)


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _folder(key: str) -> str:
    """The folder to which an object belongs; empty for objects not created by Sightline."""
    if _CURRENT.fullmatch(key) or _CHAMPION.fullmatch(key) or _HISTORY.fullmatch(key):
        return _POINTERS
    if key.startswith(CLOCKS):
        return CLOCKS
    match = _RESULT.match(key) or _MODEL.match(key)
    return match[0] if match else ""


def _publication(folder: str, key: str) -> str:
    """The publication of a result to which an object belongs; the folder itself for objects outside of publications."""
    match = re.compile(rf"{re.escape(folder)}/[0-9a-f]{{16}}(?=/.)").match(key)
    return match[0] if match else folder


def _files(folder: str, document: Any) -> set[str]:  # noqa: ANN401
    """The keys of ``result.json`` and of the files it lists; empty if it does not exist."""
    if document is None:
        return set()
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, dict):
        raise StepError(
            f"{folder}/result.json does not list the files it needs, so nothing was removed; run that step again"
        )
    publication = document.get("folder", folder)
    return {f"{folder}/result.json", *(f"{publication}/{name}" for name in files)}
