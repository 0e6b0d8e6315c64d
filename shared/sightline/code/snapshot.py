"""A snapshot of the package: its files, its manifest, and its serialized form."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sightline import strict_json
from sightline.code.git_state import git_state
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import CodeError
from sightline.version import __version__
from sightline_bootstrap import CODE_SUFFIXES, code_files, revision_of

MAX_FILES = 5_000
MAX_FILE_BYTES = 4 << 20
MAX_BYTES = 32 << 20
"""Total size of all files; the package has about one MB."""

_PATH = re.compile(r"sightline(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){1,12}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """Metadata of a snapshot.

    Attributes:
        revision: SHA-256 over the names and contents of the files, 64 hexadecimal digits.
        files: POSIX path such as ``sightline/version.py`` -> SHA-256 of the file, hexadecimal.
        version: Sightline's version.
        commit: The checked-out git commit; None if the package is not in a git repository.
        dirty: Whether the package differed from that commit.
        created: Time of creation; UTC, ISO 8601.
    """

    revision: str
    files: dict[str, str]
    version: str
    commit: str | None
    dirty: bool | None
    created: str

    def to_json(self) -> bytes:
        """The serialized form on a volume."""
        return json.dumps(MANIFEST.encode(self), indent=1).encode()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of the package at one point in time.

    Attributes:
        manifest: The metadata of the files.
        contents: POSIX path -> UTF-8 text of the file.
    """

    manifest: Manifest
    contents: dict[str, str]

    @property
    def revision(self) -> str:
        """The revision, which is the name of the snapshot."""
        return self.manifest.revision

    def to_json(self) -> bytes:
        """The serialized form in a bucket: a single object, so that it is written atomically."""
        return json.dumps(SNAPSHOT.encode(self), ensure_ascii=False).encode()


MANIFEST = DocumentKind("code manifest", Manifest)
SNAPSHOT = DocumentKind("code snapshot", Snapshot)


@dataclass(frozen=True, slots=True)
class Published:
    """The result of publishing.

    Attributes:
        manifest: Manifest of the published snapshot; an identical existing snapshot keeps its own.
        place: Path or URI of the snapshot.
        new: Whether it was missing or damaged before.
        moved: Whether another snapshot was current before.
    """

    manifest: Manifest
    place: str
    new: bool
    moved: bool


def make_snapshot(package: Path | None = None) -> Snapshot:
    """Create a snapshot of the package.

    Args:
        package: Its folder; by default the running package.

    Raises:
        CodeError: It is not Sightline's package, or contains files that are not allowed in a snapshot.
    """
    package = package or Path(__file__).parents[1]
    paths = code_files(package)
    if package.name != "sightline" or "sightline/version.py" not in paths:
        raise CodeError(f"{package} is not the package sightline; give the folder that contains version.py")
    _require_limits(str(package), ((name, path.stat().st_size) for name, path in paths.items()))
    contents = {}
    for name, path in paths.items():
        try:
            contents[name] = path.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise CodeError(f"{path} is not UTF-8 (at byte {error.start}); save it as UTF-8") from error
    hashes = _hashes(contents)
    state = git_state(package)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(revision_of(hashes), hashes, __version__, state.commit, state.dirty, created)
    return Snapshot(manifest, contents)


def read_snapshot(revision: str, text: bytes, where: str) -> Snapshot:
    """Read and verify a snapshot that :meth:`Snapshot.to_json` wrote.

    Args:
        revision: The expected revision.
        text: The contents from a bucket, which are not trusted.
        where: Its URI, for messages.

    Raises:
        CodeError: It is not this snapshot, contains a file outside the package, or is too large.
    """
    try:
        snapshot = SNAPSHOT.decode(text)
    except DocumentError as error:
        raise _untrusted(where, str(error), error.remedy("")) from error
    contents = snapshot.contents
    _require_limits(where, ((name, len(content.encode())) for name, content in contents.items()))
    hashes = _hashes(contents)
    if not revision_of(hashes) == snapshot.revision == revision or hashes != snapshot.manifest.files:
        raise _untrusted(where, f"its files have the revision {revision_of(hashes)}, expected {revision}")
    return snapshot


def _hashes(contents: dict[str, str]) -> dict[str, str]:
    return {name: hashlib.sha256(content.encode()).hexdigest() for name, content in sorted(contents.items())}


def _require_limits(where: str, sizes: Iterable[tuple[str, int]]) -> None:
    """Reject names and sizes that are not allowed; a name determines where a file is written."""
    count = total = 0
    for name, size in sizes:
        count, total = count + 1, total + size
        if not _PATH.fullmatch(name) or Path(name).suffix not in CODE_SUFFIXES:
            raise _untrusted(
                where,
                f"it contains {strict_json.shown(name)}; expected files below sightline/ whose names have ASCII "
                f"letters, digits, _ - and ., and end in {' '.join(sorted(CODE_SUFFIXES))}",
            )
        if size > MAX_FILE_BYTES or total > MAX_BYTES or count > MAX_FILES:
            raise _untrusted(
                where,
                f"it is too large: at most {MAX_FILES} files of {MAX_FILE_BYTES >> 20} MiB each and "
                f"{MAX_BYTES >> 20} MiB together",
            )


def _untrusted(where: str, fault: str, remedy: str = "") -> CodeError:
    return CodeError(f"{where} is not a valid code snapshot: {'; '.join(filter(None, [fault, remedy]))}")
