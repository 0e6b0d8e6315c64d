"""Which Sightline this is: its version, and a revision that changes with every byte of its code."""

from __future__ import annotations

import hashlib
from pathlib import Path

__version__ = "0.1.0"

_CODE_SUFFIXES = {".py", ".yaml", ".html", ".css", ".mako"}


def code_revision() -> str:
    """The revision of the code that runs: ``<version>-<12 hexadecimal digits over the package's files>``.

    Equal code has an equal revision wherever it lies, committed or not, so finished work is found again exactly when
    the code that did it is unchanged.
    """
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in _CODE_SUFFIXES):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return f"{__version__}-{digest.hexdigest()[:12]}"
