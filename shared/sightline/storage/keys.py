"""Which names objects may have; the same for every back end."""

from __future__ import annotations

import re

from sightline.errors import StorageError

MAX_KEY_BYTES = 1024
"""Google Storage's limit for the name of an object, in UTF-8."""

RESERVED_PART = ".sightline"
"""The first part of the names that back ends keep for their own bookkeeping."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def validate_key(key: str) -> str:
    """Return ``key`` when it is a relative POSIX path that means the same everywhere.

    Args:
        key: Such as ``results/train/plates_train_v1/3f2a/result.json``.

    Raises:
        StorageError: The key is empty, absolute, too long, leaves the bucket, or cannot be a file's name.
    """
    fault = _fault(key) if key else "it is empty"
    if fault:
        raise StorageError(
            f"object key {key!r} cannot be used: {fault}; a key is a relative path such as results/train/model.json"
        )
    return key


def validate_prefix(prefix: str) -> str:
    """Return ``prefix`` when keys can begin with it; it may be empty or end in a slash.

    Raises:
        StorageError: No key can begin like that.
    """
    fault = _fault(prefix.removesuffix("/")) if prefix else ""
    if fault:
        raise StorageError(f"object prefix {prefix!r} cannot be used: {fault}; a prefix looks like results/train/")
    return prefix


def _fault(key: str) -> str:
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    parts = key.split("/")
    faults = {
        f"it has {length} bytes, the limit is {MAX_KEY_BYTES}": length > MAX_KEY_BYTES,
        "it holds a control character": _CONTROL.search(key),
        "it holds a backslash": "\\" in key,
        "it begins with a drive letter": re.match(r"[A-Za-z]:", key),
        "it begins or ends with a slash, or holds two in a row": "" in parts,
        "it holds . or .. as a part": {".", ".."} & set(parts),
        f"{RESERVED_PART}/ is kept for bookkeeping": parts[0] == RESERVED_PART,
    }
    return next((fault for fault, found in faults.items() if found), "")
