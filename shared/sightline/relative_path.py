"""Relative paths that come from outside: object names, the files of a manifest, the images of a COCO document.

Whoever writes such a path must not decide where on this machine something is written.  The rules hold on every system,
so that what was accepted in one place is not refused, or read as another file, in the next.

Letters that differ in case alone, names such as ``CON`` and dots at the end stay allowed: pods, laptops with Linux and
buckets keep them apart, and refusing them would shut out data that is in order.
"""

from __future__ import annotations

import re

MAX_BYTES = 1024
"""Of the whole path in UTF-8: Google Storage's limit for the name of an object, and that of the database's column."""

MAX_PART_BYTES = 255
"""Of one name between slashes: the limit of nearly all file systems."""

_PLAIN = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.\- ]*/)*[A-Za-z0-9_][A-Za-z0-9_.\- ]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DRIVE = re.compile(r"[A-Za-z]:")


def fault_in(path: str) -> str:
    """What is wrong with a relative POSIX path; an empty string where nothing is.

    Args:
        path: Such as ``images/2024/a.jpg``.

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
