"""Which Sightline this is: its version, and a revision that changes with every byte of its code."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sightline_bootstrap import revision_of

__version__ = "0.1.0"

CODE_SUFFIXES = frozenset({".py", ".yaml", ".html", ".css", ".js", ".typed"})


def code_revision() -> str:
    """The revision of the code that runs.

    For a snapshot, its 64 hexadecimal digits.  For any other code, ``<version>-<12 hexadecimal digits>``: the first of
    those that a snapshot of it would have.  Equal code has an equal revision wherever it lies, committed or not, so
    finished work is found again exactly when the code that did it is unchanged.
    """
    package = Path(__file__).parent
    contents = ((name, path.read_bytes()) for name, path in code_files(package).items())
    revision = revision_of({name: hashlib.sha256(content).hexdigest() for name, content in contents})
    return revision if package.parent.parent.name == revision else f"{__version__}-{revision[:12]}"


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
