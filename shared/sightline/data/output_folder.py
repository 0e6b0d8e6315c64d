"""The output folder of a command: only files written by the command are ever replaced.

A list, such as ``predictions.jsonl``, contains a line for each written file, with its SHA-256.  The line is written
before the file, so that a killed call never leaves a file that the next one does not recognize.  A file whose contents
are not listed belongs to the user, whatever its name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sightline import strict_json
from sightline.errors import DataError, StepError
from sightline.files import file_sha256, written_whole

FORMAT = 1

_SHOWN = 5


class OutputFolder:
    """The folder for the results of a command.

    Args:
        path: The folder; nothing is written before :meth:`begin` is called.
        contents: Kind of contents, such as ``predictions``; also the name of the list.
        command: The command that writes them, for messages.
        option: The option that sets another folder, for messages.
        strict: Whether a list that the command did not write is an error; otherwise it is ignored.

    Attributes:
        path: The folder.
        manifest: The name of the list.

    Raises:
        DataError: The path is a file, or contains a list that the command did not write.
    """

    def __init__(self, path: Path, contents: str, command: str, option: str, *, strict: bool = True) -> None:
        self.path = path
        self.manifest = f"{contents}.jsonl"
        self._first_line = {"sightline": contents, "format": FORMAT}
        self._command = command
        self._another = f"give another folder with {option}"
        if os.path.lexists(path) and not path.is_dir():
            raise DataError(f"{path} is not a folder; {self._another}")
        self._real = Path(os.path.realpath(path))
        self._digests: dict[str, set[str]] = defaultdict(set)
        try:
            self._read_manifest()
        except DataError:
            if strict:
                raise

    def holds(self, path: Path) -> bool:
        """Whether a file is in this folder, at any depth."""
        return Path(os.path.realpath(path)).is_relative_to(self._real)

    def wrote(self, path: Path) -> bool:
        """Whether the command wrote this file into the folder, and it was not changed since."""
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self._real) or path.is_symlink():
            return False
        return self._is_own(PurePosixPath(real.relative_to(self._real).as_posix()))

    def require_free(self, files: Iterable[PurePosixPath], inputs: Iterable[Path]) -> None:
        """Refuse to overwrite an input, or a file that the command did not write.

        Args:
            files: The files to write, relative to this folder.
            inputs: The input images.

        Raises:
            DataError: Files would be overwritten; the message lists the first of them.
        """
        originals = {_identity(path) for path in inputs}
        originals.discard(None)
        foreign: list[str] = []
        blocked: list[str] = []
        for file in files:
            target = self.path / file
            if os.path.lexists(target):
                if _identity(target) in originals or not self._is_own(file):
                    foreign.append(str(target))
            else:
                blocked += [str(parent) for parent in self._parents(file) if parent.exists() and not parent.is_dir()]
        if foreign:
            it = "it" if len(foreign) == 1 else "them"
            raise DataError(
                f"{_listed(foreign)} would be overwritten, but {self._command} did not write {it}, or the contents "
                f"changed since; nothing was done: {self._another}, or move {it} away"
            )
        if blocked:
            raise DataError(
                f"{_listed(sorted(set(blocked)))}: there is a file where a folder is needed; {self._another}, or move "
                "it away"
            )

    def begin(self) -> None:
        """Create the folder and its list; lines of files that no longer exist are dropped."""
        lines = [json.dumps(self._first_line)]
        for file, digests in sorted(self._digests.items()):
            present = _sha256(self.path / file)
            if present in digests:
                lines.append(json.dumps({"file": file, "sha256": present}, ensure_ascii=False))
        self._replace(self.path / self.manifest, "".join(f"{line}\n" for line in lines).encode())

    def write(self, files: Mapping[PurePosixPath, bytes]) -> None:
        """List some files, then write each atomically.

        Raises:
            DataError: Another program put a file there in the meantime.
            StepError: The files cannot be written to the disk.
        """
        self._list({file: hashlib.sha256(content).hexdigest() for file, content in files.items()})
        for file, content in files.items():
            self._replace(self.path / file, content)

    def put(self, file: PurePosixPath, source: Path) -> Path:
        """List a file that is in this folder under a temporary name, then move it to its final path.

        Returns:
            Its final path.

        Raises:
            DataError: Another program put a file there in the meantime.
            StepError: The file cannot be written to the disk.
        """
        self._list({file: _sha256(source)})
        target = self.path / file
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        except OSError as error:
            raise self._unwritable(target, error) from error
        return target

    def _list(self, digests: Mapping[PurePosixPath, str]) -> None:
        self.require_free(digests, [])
        lines = ""
        for file, digest in digests.items():
            self._digests[str(file)].add(digest)
            lines += json.dumps({"file": str(file), "sha256": digest}, ensure_ascii=False) + "\n"
        try:
            with (self.path / self.manifest).open("a", encoding="utf-8") as stream:
                stream.write(lines)
        except OSError as error:
            raise self._unwritable(self.path / self.manifest, error) from error

    def _parents(self, file: PurePosixPath) -> list[Path]:
        return [self.path / parent for parent in file.parents if str(parent) != "."]

    def _is_own(self, file: PurePosixPath) -> bool:
        path = self.path / file
        digests = self._digests.get(str(file), set())
        # Writing through a link, anywhere in the path, would change a file elsewhere.
        linked = path.is_symlink() or Path(os.path.realpath(path)) != self._real / file
        return bool(digests) and not linked and path.is_file() and _sha256(path) in digests

    def _read_manifest(self) -> None:
        path = self.path / self.manifest
        if not os.path.lexists(path):
            return
        try:
            if path.is_symlink():
                raise ValueError("it is a link")
            with path.open(encoding="utf-8") as stream:
                if _decoded(stream.readline()) != self._first_line:
                    raise ValueError("its first line is different")
                for line in stream:
                    entry = _decoded(line) if line.endswith("\n") else None  # a killed call may leave half a line
                    if isinstance(entry, dict) and set(entry) == {"file", "sha256"}:
                        self._digests[str(entry["file"])].add(str(entry["sha256"]))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} is not the list of files written by {self._command} ({error}); {self._another}, or "
                "move that file away"
            ) from error

    def _replace(self, path: Path, content: bytes) -> None:
        try:
            with written_whole(path) as stream:
                stream.write(content)
        except OSError as error:
            raise self._unwritable(path, error) from error

    def _unwritable(self, path: Path, error: OSError) -> StepError:
        return StepError(
            f"cannot write {path}: {error.strerror or error}; free some space or fix the permissions, or "
            f"{self._another}"
        )


def _decoded(line: str) -> Any:  # noqa: ANN401
    try:
        return strict_json.decode(line)
    except strict_json.JsonError:
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    """The identity of the file at a path; links, hard links and other spellings of the path have the same."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return ""


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
