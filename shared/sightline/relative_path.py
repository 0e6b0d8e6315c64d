"""Untrusted relative paths: object names, the files of a manifest, the images of a COCO document.

The author of such a path must not be able to choose where on this machine a file is written.  The rules are the same on
every system, so that an accepted path is not rejected, or read as another file, elsewhere.

Names that differ only in letter case, names such as ``CON`` and trailing dots are allowed: pods, Linux laptops and
buckets distinguish them, and rejecting them would exclude valid data.
"""

from __future__ import annotations

import re

MAX_BYTES = 1024
"""Maximum length of a path in UTF-8: Google Storage's limit for object names, and that of the database column."""

MAX_PART_BYTES = 255
"""Maximum length of a path component: the limit of nearly all file systems."""

_PLAIN = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.\- ]*/)*[A-Za-z0-9_][A-Za-z0-9_.\- ]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DRIVE = re.compile(r"[A-Za-z]:")


def fault_in(path: str) -> str:
    """The fault of a relative POSIX path; an empty string if there is none.

    Args:
        path: Path such as ``images/2024/a.jpg``.

    Example:
        >>> fault_in("images/a.jpg")
        ''
        >>> fault_in("images/../../a.jpg")
        'it contains . or .. as a component'
    """
    if len(path) <= MAX_PART_BYTES and _PLAIN.fullmatch(path):
        return ""
    if not path:
        return "it is empty"
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    parts = path.split("/")
    faults = {
        f"it has {length} bytes, the limit is {MAX_BYTES}": length > MAX_BYTES,
        "it contains a control character": _CONTROL.search(path),
        "it contains a backslash": "\\" in path,
        "it begins with a drive letter": _DRIVE.match(path),
        "it begins or ends with a slash, or contains two in a row": "" in parts,
        "it contains . or .. as a component": {".", ".."} & set(parts),
        f"a component is longer than {MAX_PART_BYTES} bytes": any(
            len(part.encode()) > MAX_PART_BYTES for part in parts
        ),
    }
    return next((fault for fault, found in faults.items() if found), "")
