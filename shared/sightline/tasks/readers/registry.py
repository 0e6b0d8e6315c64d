"""Structured readings by name: what ``reading`` in the configuration can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sightline.errors import ConfigurationError
from sightline.metrics.exact_match import Reader
from sightline.names import NameTable
from sightline.tasks.detection.metrics import READINGS

READERS = NameTable("reading", dict.fromkeys(READINGS, "sightline.tasks.readers.*:READER"))
"""What makes a reader of the class names."""


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
    make: Callable[[Sequence[str]], Reader] = READERS.load(name, "reading")
    return make(class_names)


def can_read(name: str, class_names: Sequence[str]) -> bool:
    """Whether a reader of that name has all classes that it needs."""
    try:
        open_reader(name, class_names)
    except ConfigurationError:
        return False
    return True
