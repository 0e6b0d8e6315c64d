"""Which names objects may have; the same for every back end."""

from __future__ import annotations

from sightline.errors import StorageError
from sightline.relative_path import fault_in

RESERVED_PART = ".sightline"
"""The first part of the names that back ends keep for their own bookkeeping."""


def validate_key(key: str) -> str:
    """Return ``key`` when it is a relative POSIX path that means the same everywhere.

    Args:
        key: Such as ``results/train/plates_train_v1/3f2a/result.json``.

    Raises:
        StorageError: The key is empty, absolute, too long, leaves the bucket, or cannot be a file's name.
    """
    fault = _fault(key)
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
    if key.partition("/")[0] == RESERVED_PART:
        return f"{RESERVED_PART}/ is reserved"
    return fault_in(key)
