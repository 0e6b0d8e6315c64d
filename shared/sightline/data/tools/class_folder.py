"""The names of class folders, which a dataset's class names must not lead out of the new folder."""

from __future__ import annotations

from collections.abc import Iterable

from sightline.errors import DataError
from sightline.relative_path import fault_in


def folder_names(classes: Iterable[str]) -> dict[str, str]:
    """Class -> the name of its folder; the slash of ``label set/class`` becomes ``_``.

    Raises:
        DataError: Names cannot be those of folders, or two classes would share one; the message lists them.

    Example:
        >>> folder_names(["mask/with", "crack"])
        {'mask/with': 'mask_with', 'crack': 'crack'}
    """
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    faults = []
    for label in dict.fromkeys(classes):
        name = label.replace("/", "_")
        other = first.setdefault(name.casefold(), label)
        if fault := fault_in(name) or ("it begins with a dot" if name.startswith(".") else ""):
            faults.append(f"  {label!r}: {fault}")
        elif other != label:
            faults.append(f"  {label!r}: {other!r} would have the same folder")
        found[label] = name
    if faults:
        raise DataError(
            "\n".join(["classes that cannot be the names of folders; nothing was written:", *faults])
            + "\nrename them, or map them with --set data.aliases=..."
        )
    return found
