"""Structured readings by name: what ``reading`` in the configuration can be."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from sightline.errors import ConfigurationError
from sightline.metrics.exact_match import Reader

READERS = {"plates": ("sightline.tasks.readers.plates", "PlateReader")}
"""Name -> (module, class), imported on use; the class takes the class names."""


def open_reader(name: str, class_names: Sequence[str]) -> Reader | None:
    """The reader of that name for a model of these classes; None for ``none``.

    Args:
        name: As ``reading`` in the configuration.
        class_names: Category ids are 1, 2, ... in this order.

    Raises:
        ConfigurationError: There is no such reader, or classes that it reads are missing.
    """
    if name == "none":
        return None
    if name not in READERS:
        raise ConfigurationError(f"reading: unknown reader {name!r}; known are none, {', '.join(sorted(READERS))}")
    module, kind = READERS[name]
    reader: Reader = getattr(importlib.import_module(module), kind)(class_names)
    return reader


def can_read(name: str, class_names: Sequence[str]) -> bool:
    """Whether a reader of that name has all classes that it needs."""
    try:
        open_reader(name, class_names)
    except ConfigurationError:
        return False
    return True
