"""The group of an image, whose images are always in the same split."""

from __future__ import annotations

import re


def group_of_image(given: str | None, path: str, pattern: str, sha256: str) -> str:
    """The group of an image.

    Spaces at its end are left out: a pattern such as ``^(..)`` cuts within words, and databases ignore them.

    Args:
        given: The group in the annotations; may be empty.
        path: Path of the image.
        pattern: ``data.group_pattern``; its first capture group is the group.
        sha256: The digest of the image, its own group if there is no other.

    Example:
        >>> group_of_image("", "person1_a.jpg", "^(person[0-9]+)_", "d1"), group_of_image("", "x.jpg", "^(y)", "d1")
        ('person1', 'd1')
    """
    match = re.search(pattern, path) if pattern else None
    found = (match and match.group(1)) or ""
    return (given or "").rstrip() or found.rstrip() or sha256
