"""DVC's list of the files of a folder: a JSON list of ``{"md5": ..., "relpath": ...}`` in an object ``<md5>.dir``.

It is read from a shared remote and determines which files are written where, so it is parsed strictly: one invalid
entry rejects the complete list before anything is fetched.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from sightline import strict_json
from sightline.errors import RepositoryError
from sightline.relative_path import fault_in

Manifest = dict[str, str]
"""Relative POSIX path -> MD5, hexadecimal."""

MAX_MANIFEST_BYTES = 512 * 1024**2
"""A longer list is rejected unread; a list of a million files has about 90 million bytes."""

_MD5 = re.compile(r"[0-9a-f]{32}")
_READ = object()
"""Placeholder in the decoded list for an entry that was added to the manifest, to avoid keeping a million dicts."""


def parse_manifest(data: bytes, what: str) -> Manifest:
    """Parse a ``.dir`` object.

    DVC writes only ``md5`` and ``relpath`` (and fails on any other key).  Files whose names differ only in letter case
    are kept apart.

    Args:
        data: The object's contents.
        what: Name of the list in errors: ``the list of the files of plates_ann_v1``.

    Returns:
        Path -> MD5, in the order of the list; every path is relative, stays below its folder, is unique, and is not a
        parent folder of another.

    Raises:
        RepositoryError: It is not in DVC's format, or a path could lead outside the folder.
    """
    manifest: Manifest = {}
    try:
        document = strict_json.decode(data, max_bytes=MAX_MANIFEST_BYTES, pairs=_reader(manifest))
        _require_list(document)
        _require_files(manifest)
    except strict_json.JsonError as error:
        raise RepositoryError(
            f"{what} is not valid: {error}; nothing was fetched: "
            "do not use this version; add its folder, or record it, as a new version"
        ) from error
    return manifest


def manifest_bytes(manifest: Manifest) -> bytes:
    """The list in DVC's format; the inverse of :func:`parse_manifest`."""
    entries = [{"md5": manifest[name], "relpath": name} for name in sorted(manifest)]
    return json.dumps(entries, sort_keys=True).encode()


def manifest_md5(manifest: Manifest) -> str:
    """DVC's name for a folder with these files."""
    return hashlib.md5(manifest_bytes(manifest), usedforsecurity=False).hexdigest() + ".dir"


def _reader(manifest: Manifest) -> Callable[[list[tuple[str, Any]]], object]:
    """A JSON hook that adds each entry to ``manifest`` while the text is decoded."""

    def read(pairs: list[tuple[str, Any]]) -> object:
        entry = dict(pairs)
        md5, path = entry.get("md5"), entry.get("relpath")
        where = f"entry {len(manifest)}"
        if len(pairs) != 2 or md5 is None or path is None:
            keys = ", ".join(strict_json.shown(key) for key, _ in pairs[:5]) or "none"
            raise strict_json.JsonError(f"{where} must have only the keys 'md5' and 'relpath', but it has {keys}")
        if not isinstance(md5, str) or not _MD5.fullmatch(md5):
            raise strict_json.JsonError(f"{where}: md5 must be 32 hexadecimal digits, but it is {_shown(md5)}")
        if not isinstance(path, str):
            raise strict_json.JsonError(f"{where}: relpath must be a string")
        if fault := fault_in(path):
            raise strict_json.JsonError(f"{where}, relpath {_shown(path)}: {fault}")
        if path in manifest:
            raise strict_json.JsonError(f"{where}: relpath {_shown(path)} is listed twice")
        manifest[path] = md5
        return _READ

    return read


def _shown(value: object) -> str:
    return strict_json.shown(value) if isinstance(value, str) else "not a string"


def _require_list(document: object) -> None:
    if not isinstance(document, list):
        raise strict_json.JsonError("it is not a list of files")
    for index, entry in enumerate(document):
        if entry is not _READ:
            raise strict_json.JsonError(f"entry {index} is not an object with 'md5' and 'relpath'")


def _require_files(manifest: Manifest) -> None:
    """Reject a path that is a folder of another; sorted with NUL in place of the slash, such a pair is adjacent."""
    ordered = sorted(path.replace("/", "\0") for path in manifest)
    for path, following in pairwise(ordered):
        if following.startswith(path) and following[len(path)] == "\0":
            file, inside = (name.replace("\0", "/") for name in (path, following))
            raise strict_json.JsonError(f"{_shown(file)} is a file, but also the folder of {_shown(inside)}")
