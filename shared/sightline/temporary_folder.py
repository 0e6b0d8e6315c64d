"""Temporary folders with the process id in their names, so that those of killed processes can be removed."""

from __future__ import annotations

import os
import re
import tempfile
from typing import Literal, get_args

from sightline.processes import is_running

Kind = Literal[
    "git", "history", "init", "preview", "processes", "record", "rehearsal", "remote", "review", "suggest", "weights"
]

_NAME = re.compile(rf"sightline-(?:{'|'.join(get_args(Kind))})-(?:(\d+)-)?[a-z0-9_]{{8}}")


def temporary_folder(kind: Kind) -> tempfile.TemporaryDirectory[str]:
    """A folder that is removed at the end of the ``with``; its name contains the id of this process."""
    return tempfile.TemporaryDirectory(prefix=f"sightline-{kind}-{os.getpid()}-")


def is_left_behind(name: str) -> bool:
    """Whether a process that has ended left a folder with this name; earlier releases did not add a process id."""
    match = _NAME.fullmatch(name)
    return match is not None and (match[1] is None or not is_running(int(match[1])))
