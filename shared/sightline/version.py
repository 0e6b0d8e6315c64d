"""The version of Sightline, and the revision of its code, which changes with every byte."""

from __future__ import annotations

from pathlib import Path

from sightline_bootstrap import package_revision

__version__ = "0.1.0"


def code_revision() -> str:
    """The revision of the code that runs.

    For a snapshot, its 64 hexadecimal digits.  For any other code, ``<version>-<12 hexadecimal digits>``: the first of
    those that a snapshot of it would have.  Equal code has an equal revision wherever it lies, committed or not, so
    finished work is found again exactly when the code that did it is unchanged.
    """
    package = Path(__file__).parent
    revision = package_revision(package)
    return revision if package.parent.parent.name == revision else f"{__version__}-{revision[:12]}"
