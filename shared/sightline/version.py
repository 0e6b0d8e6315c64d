"""The version of Sightline, and the revision of its code, which changes with every modified byte."""

from __future__ import annotations

from pathlib import Path

from sightline_bootstrap import package_revision

__version__ = "0.1.0"


def code_revision() -> str:
    """The revision of the running code.

    For a snapshot, its 64 hexadecimal digits.  For other code, ``<version>-<12 hexadecimal digits>``: the first digits
    of the snapshot that could be made from it.  Identical code has the same revision anywhere, committed or not, so
    finished work is reused exactly if the code that did it is unchanged.
    """
    package = Path(__file__).parent
    revision = package_revision(package)
    return revision if package.parent.parent.name == revision else f"{__version__}-{revision[:12]}"
