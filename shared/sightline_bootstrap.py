"""Code from a volume: one revision is pinned for a run, verified in every pod, and put first on the path.

This module is part of the images, only needs Python, and works before ``sightline`` is imported for the first time::

    from sightline_bootstrap import activate, pin

    code_rev = activate(pin(code_rev))  # in resolve
    activate(code_rev)  # in every other task

The volume, ``$SIGHTLINE_CODE``, contains::

    snapshots/<revision>/MANIFEST.json       SHA-256 of each file, git commit, time of publication
    snapshots/<revision>/shared/sightline/   the package
    CURRENT                                  the revision that code_rev=current refers to, on one line

A revision is the SHA-256 of the names and contents of the files (:func:`revision_of`), so a snapshot that matches its
name is unchanged, no matter who can write to the volume.  For the same reason, it only contains sources: compiled files
differ between Python versions, and compiling the imports of a step takes less than a tenth of a second.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

VARIABLE = "SIGHTLINE_CODE"
"""Environment variable with the path of the volume; the images set it."""

IMAGE = "image"
"""The code of the image."""

CURRENT = "current"
"""The revision that was published last."""

MANIFEST = "MANIFEST.json"
SOURCE = "shared"
"""The folder of a snapshot that is put on the path."""

CODE_SUFFIXES = frozenset({".py", ".yaml", ".html", ".css", ".js", ".typed"})
"""Suffixes of the files of the package."""

_READ_AT_ONCE = 16
"""A network file system answers each request after some time, but many at once."""

_FULL = re.compile(r"[0-9a-f]{64}")
_BEGINNING = re.compile(r"[0-9a-f]{8,64}")
_OWN = re.compile(r"[0-9][0-9A-Za-z.+]*-[0-9a-f]{12}")
_AGAIN = "publish the code again (publish-code), or run with code_rev=image"


class SnapshotError(RuntimeError):
    """A snapshot is missing, or was changed after it was published."""


def pin(code_rev: str) -> str:
    """The one revision that a whole run uses.

    What is not on the volume, or damaged there, is brought from the result bucket first.  For ``current`` the pointer
    of the bucket counts where there is one, else CURRENT of the volume; ``image`` touches neither.

    Args:
        code_rev: ``image`` or nothing, ``current``, a revision or a beginning of it with 8 digits or more.

    Returns:
        ``image``, the image's own revision where that was given, or 64 hexadecimal digits.

    Raises:
        SnapshotError: There is no such revision, there are several, or it cannot be brought.
    """
    if code_rev in {"", IMAGE} or _OWN.fullmatch(code_rev):
        return code_rev or IMAGE
    if code_rev != CURRENT and not _BEGINNING.fullmatch(code_rev):
        raise _unknown(code_rev)
    volume = volume_of(code_rev)
    found = [] if code_rev == CURRENT else [name for name in revisions(volume) if name.startswith(code_rev)]
    if len(found) > 1:
        raise SnapshotError(
            f"code_rev {code_rev} matches {len(found)} snapshots in {volume}: {', '.join(found)}; give more digits"
        )
    if not found:
        return _bring(code_rev)
    touch(volume, found[0])
    try:
        verify(volume, found[0])
    except SnapshotError as damage:
        with suppress(SnapshotError):  # where the bucket has none either, the damage is what counts
            return _bring(found[0])
        raise damage from None
    return found[0]


def activate(code_rev: str) -> str:
    """Make ``import sightline`` use the code of this revision, in this process and all that it starts.

    Args:
        code_rev: As :func:`pin` gave it.  For ``image``, nothing, and the image's own revision nothing changes.

    Returns:
        ``code_rev``.

    Raises:
        SnapshotError: The snapshot is missing or was changed, ``sightline`` was imported already from
            elsewhere, or this image has other code than that which was pinned.
    """
    gc.set_threshold(100_000)  # looking for garbage among what imports make takes a tenth of a short task
    if _FULL.fullmatch(code_rev):
        root = verify(volume_of(code_rev), code_rev)
        _refuse_imported(root, code_rev)
        _put_first(root)
    elif _OWN.fullmatch(code_rev):
        _require_own(code_rev)
    elif code_rev not in {"", IMAGE}:
        raise _unknown(code_rev)
    return code_rev


def verify(volume: Path, revision: str) -> Path:
    """Compare all contents of a snapshot with its manifest.

    Args:
        volume: The volume.
        revision: All 64 digits.

    Returns:
        The folder that goes on the path.

    Raises:
        SnapshotError: A file was changed, is missing or was added, or the snapshot is missing or incomplete.
    """
    folder = volume / "snapshots" / revision
    if not folder.is_dir():
        raise SnapshotError(f"there is no code snapshot {revision} in {volume}/snapshots; {_AGAIN}")
    try:
        fault = _fault(folder, _expected(folder, revision))
    except OSError as error:
        raise SnapshotError(f"the code snapshot {folder} cannot be read ({error}); check the volume") from error
    if fault:
        raise _damaged(folder, fault)
    return folder / SOURCE


def revision_of(hashes: Mapping[str, str]) -> str:
    """The revision of some files: SHA-256, hexadecimal, over a line ``<path> NUL <SHA-256>`` for each.

    Args:
        hashes: POSIX path such as ``sightline/version.py`` -> SHA-256 of the file, hexadecimal.

    Example:
        >>> revision_of({})[:8]
        'e3b0c442'
    """
    lines = (f"{name}\0{sha256}\n" for name, sha256 in sorted(hashes.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def package_revision(package: Path) -> str:
    """The revision that a snapshot of a package would have."""
    files = code_files(package)
    return revision_of({name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()})


def code_files(package: Path) -> dict[str, Path]:
    """The files that make up the package, installed or checked out; hidden and compiled ones are none of them.

    Args:
        package: The folder of the package.

    Returns:
        POSIX path below the folder that holds the package, such as ``sightline/version.py`` -> the file.
    """
    found = (path for path in package.rglob("*") if path.suffix in CODE_SUFFIXES and path.is_file())
    names = {path.relative_to(package.parent).as_posix(): path for path in found}
    return {name: names[name] for name in sorted(names) if "/." not in name}


def revisions(volume: Path) -> list[str]:
    """The revisions on a volume, verified or not."""
    try:
        return sorted(path.name for path in (volume / "snapshots").iterdir() if _FULL.fullmatch(path.name))
    except FileNotFoundError:
        return []


def current(volume: Path) -> str | None:
    """The revision in CURRENT of a volume; None if there is no such file.

    Raises:
        SnapshotError: It says nothing that is a revision.
    """
    path = volume / "CURRENT"
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    if not _FULL.fullmatch(text):
        raise SnapshotError(f"{path} contains {text[:80]!r}, expected a revision of 64 hexadecimal digits; {_AGAIN}")
    return text


def touch(volume: Path, revision: str) -> bool:
    """Mark a snapshot as used, so that gc keeps it; False if it does not exist."""
    path = volume / "snapshots" / revision / MANIFEST
    with suppress(OSError):  # it belongs to another user, or may only be read; gc looks into the database too
        os.utime(path)
    return path.exists()


def volume_of(code_rev: str) -> Path:
    """The volume with the snapshots.

    Args:
        code_rev: What is looked for there, for the message.

    Raises:
        SnapshotError: No volume is named.
    """
    volume = os.environ.get(VARIABLE)
    if not volume:
        raise SnapshotError(
            f"code_rev {code_rev} is a snapshot on the code volume, but {VARIABLE} is not set; set it to the folder "
            "that contains snapshots/ and CURRENT, or run with code_rev=image"
        )
    return Path(volume).absolute()


def _expected(folder: Path, revision: str) -> dict[str, str]:
    """The hashes in the manifest, checked against the revision."""
    try:
        text = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise SnapshotError(f"the code snapshot {folder} is incomplete: it has no {MANIFEST}; {_AGAIN}") from None
    try:
        files = json.loads(text)["files"]  # noqa: TID251  (nothing but Python is here; the next lines are strict)
        hashes = {str(name): str(sha256) for name, sha256 in files.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        hashes = {}
    if revision_of(hashes) != revision:
        raise _damaged(folder, f"{MANIFEST} was changed: its files are not those of the revision")
    return hashes


def _fault(folder: Path, expected: Mapping[str, str]) -> str:
    """The first difference between a snapshot and its manifest; empty if there is none."""
    present = dict(_entries(str(folder)))
    wanted = {MANIFEST, *(f"{SOURCE}/{name}" for name in expected)}
    for what, names in {
        "is missing": wanted - present.keys(),
        "does not belong there": present.keys() - wanted,
        "is a link or not a regular file": {name for name, plain in present.items() if not plain},
    }.items():
        if names:
            more = f", and the same is true of {len(names) - 1} more" if len(names) > 1 else ""
            return f"{min(names)} {what}{more}"
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        found = pool.map(_sha256, (folder / SOURCE / name for name in expected))
        for (name, sha256), actual in zip(expected.items(), found, strict=True):
            if actual != sha256:
                return f"{SOURCE}/{name} has the SHA-256 {actual}, expected {sha256}"
    return ""


def _entries(folder: str, below: str = "") -> Iterator[tuple[str, bool]]:
    """All entries below a folder -> whether each is a regular file."""
    for entry in os.scandir(folder):
        name = below + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path, f"{name}/")
        else:
            yield name, entry.is_file(follow_symlinks=False)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _refuse_imported(root: Path, code_rev: str) -> None:
    module = sys.modules.get("sightline")
    place = Path(getattr(module, "__file__", None) or "nowhere").parent
    if module is not None and place.resolve() != (root / "sightline").resolve():
        raise SnapshotError(
            f"sightline was imported from {place} before code_rev {code_rev} was activated; call activate first, in "
            "the first line of a component's body, in a new process"
        )


def _put_first(root: Path) -> None:
    """Put a folder on the path of this process and all that it starts, without writing compiled files to it."""
    first = str(root)
    sys.path[:] = [first, *(entry for entry in sys.path if entry != first)]
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([first, *(entry for entry in inherited if entry not in {"", first})])
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    importlib.invalidate_caches()


def _require_own(code_rev: str) -> None:
    """Refuse another image than that which resolve ran in; without a volume this is no image, and resolve compared."""
    if not os.environ.get(VARIABLE):
        return
    spec = importlib.util.find_spec("sightline")
    own = package_revision(Path(str(((spec and spec.submodule_search_locations) or [""])[0])))[:12]
    if not code_rev.endswith(f"-{own}"):
        raise SnapshotError(
            f"the run uses the code {code_rev} of the image in which it was resolved, but this image has another, "
            f"...-{own}; build all images from the same code, then start the run again"
        )


def _bring(code_rev: str) -> str:
    """Fetch a snapshot with the code of the image, in a subprocess, because ``sightline`` must not be imported here."""
    command = [sys.executable, "-m", "sightline.code", "bring", code_rev]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stderr.write(done.stderr)
    revision = done.stdout.strip()
    if done.returncode or not _FULL.fullmatch(revision):
        lines = done.stderr.strip().splitlines() or [f"{' '.join(command)} ended with exit code {done.returncode}"]
        reason = next((line for line in lines if line.startswith("error: ")), lines[-1]).removeprefix("error: ")
        raise SnapshotError(f"code_rev {code_rev}: {reason}")
    return revision


def _unknown(code_rev: str) -> SnapshotError:
    return SnapshotError(
        f"{code_rev!r} is not a code revision; expected image, current, or a snapshot's revision (64 hexadecimal "
        "digits; for the parameter of a run, the first 8 or more are enough)"
    )


def _damaged(folder: Path, fault: str) -> SnapshotError:
    return SnapshotError(f"the code snapshot {folder} has changed since it was published: {fault}; {_AGAIN}")
