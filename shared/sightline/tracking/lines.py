"""A file of JSON lines that stays complete when the process is killed or the disk is full."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sightline import strict_json
from sightline.files import write_atomically


class LineFile:
    """Appends documents to a file, one per line; several threads may do so.

    Args:
        path: The file.
        lines: Its new content.
    """

    def __init__(self, path: Path, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        self.path = path
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))
        self._stream = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def append(self, document: Mapping[str, Any]) -> None:
        """Add a line.

        Raises:
            OSError: It cannot be written; the file is as before.
        """
        line = json.dumps(document, allow_nan=False).encode() + b"\n"
        with self._lock:
            end = os.fstat(self._stream.fileno()).st_size
            try:
                if self._stream.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            except OSError:
                self._stream.truncate(end)
                raise

    def close(self) -> None:
        """Flush to the disk and close; may be called twice."""
        if not self._stream.closed:
            os.fsync(self._stream.fileno())
            self._stream.close()


def read_lines(path: Path, required: str) -> list[dict[str, Any]]:
    """The documents in a file up to the first incomplete line, which a killed process may leave.

    Args:
        path: The file; if it does not exist, there are no lines.
        required: A key of every document.
    """
    if not path.is_file():
        return []
    lines = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            document = strict_json.decode(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(document, dict) or required not in document:
            break
        lines.append(document)
    return lines
