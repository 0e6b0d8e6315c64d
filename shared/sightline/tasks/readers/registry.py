"""Readers by name, for ``reading`` in the configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sightline.errors import ConfigurationError
from sightline.metrics.exact_match import Reader
from sightline.names import NameTable
from sightline.tasks.detection.metrics import READINGS

READERS = NameTable("reading", dict.fromkeys(READINGS, "sightline.tasks.readers.*:READER"))
"""Makes a reader from class names."""


def open_reader(name: str, class_names: Sequence[str]) -> Reader | None:
    """The reader with this name for a model with these classes; None for ``none``.

    Args:
        name: The ``reading`` of the configuration.
        class_names: All classes of the model; category ids are 1, 2, ... in this order.

    Raises:
        ConfigurationError: There is no such reader, or classes that it needs are missing.
    """
    if name == "none":
        return None
    make: Callable[[Sequence[str]], Reader] = READERS.load(name, "reading")
    return make(class_names)


def can_read(name: str, class_names: Sequence[str]) -> bool:
    """Whether these are all the classes that the reader with this name needs."""
    try:
        open_reader(name, class_names)
    except ConfigurationError:
        return False
    return True
