"""Rules for the names of objects; the same for every back end."""

from __future__ import annotations

from sightline.errors import StorageError
from sightline.relative_path import fault_in

RESERVED_PART = ".sightline"
"""The first part of names that are reserved for bookkeeping by back ends."""


def validate_key(key: str) -> str:
    """Return ``key`` if it is a relative POSIX path that is valid on every back end.

    Args:
        key: Key such as ``results/train/plates_train_v1/3f2a/result.json``.

    Raises:
        StorageError: The key is empty, absolute, too long, leads outside the bucket, or cannot be a file name.
    """
    fault = _fault(key)
    if fault:
        raise StorageError(
            f"object key {key!r} cannot be used: {fault}; a key is a relative path such as results/train/model.json"
        )
    return key


def validate_prefix(prefix: str) -> str:
    """Return ``prefix`` if keys can have this prefix; it may be empty or end in a slash.

    Raises:
        StorageError: No valid key has this prefix.
    """
    fault = _fault(prefix.removesuffix("/")) if prefix else ""
    if fault:
        raise StorageError(f"object prefix {prefix!r} cannot be used: {fault}; a prefix looks like results/train/")
    return prefix


def _fault(key: str) -> str:
    if key.partition("/")[0] == RESERVED_PART:
        return f"{RESERVED_PART}/ is reserved"
    return fault_in(key)
