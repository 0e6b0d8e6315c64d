"""Readers by name, for ``reading`` in the configuration: built-in ones, and code of a recipe's own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from sightline.errors import ConfigurationError, SightlineError
from sightline.metrics.exact_match import Reader
from sightline.names import NameTable, is_own_code, load_own_code
from sightline.tasks.detection.metrics import READINGS
from sightline.tasks.readers.checked import CheckedReader, names_of_parts

_log = logging.getLogger(__name__)

_METHODS = ("read", "same")

READERS = NameTable("reading", dict.fromkeys(READINGS, "sightline.tasks.readers.*:READER"))
"""Makes a reader from class names."""


def checked_reader(name: str, class_names: Sequence[str]) -> CheckedReader | None:
    """Like :func:`open_reader`, but a reader whose faults are errors that name it."""
    reader = open_reader(name, class_names)
    return None if reader is None else CheckedReader(name, reader)


def open_reader(name: str, class_names: Sequence[str]) -> Reader | None:
    """The reader with this name for a model with these classes; None for ``none``.

    Args:
        name: The ``reading`` of the configuration: a name, or ``module:attribute`` of a class or function that makes a
            :class:`~sightline.metrics.exact_match.Reader` from class names.
        class_names: All classes of the model; category ids are 1, 2, ... in this order.

    Raises:
        ConfigurationError: There is no such reader, it cannot be made, or classes that it needs are missing.
    """
    if name == "none":
        return None
    make: Callable[[Sequence[str]], Any] = (
        load_own_code(name, "reading") if is_own_code(name) else READERS.load(name, "reading")
    )
    return _made(name, make, class_names)


def _made(name: str, make: Callable[[Sequence[str]], Any], class_names: Sequence[str]) -> Reader:
    try:
        reader = make(class_names)
    except SightlineError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"reading: cannot make {name} for the classes {', '.join(class_names)} ({type(error).__name__}: {error}); "
            "it must be a class or a function that takes the list of class names"
        ) from error
    lacking = [method for method in _METHODS if not callable(getattr(reader, method, None))]
    if lacking:
        raise ConfigurationError(
            f"reading: {name} made {type(reader).__name__} without {' and '.join(lacking)}; expected a reader with the "
            "methods read and same (sightline.metrics.exact_match.Reader)"
        )
    made: Reader = reader
    names_of_parts(name, made)
    return made


def can_read(name: str, class_names: Sequence[str]) -> bool:
    """Whether these are all the classes that the reader with this name needs."""
    try:
        open_reader(name, class_names)
    except ConfigurationError:
        return False
    return True


def usable_reading(name: str, class_names: Sequence[str]) -> str:
    """The reader that a model file names, or ``none`` with a warning if it cannot be opened here.

    A model stays usable where the code of its reader is not installed; it just reads nothing.  Code that a model file
    names is only called if it is a class that reads: any function could be named, such as one that runs commands, and
    the class names that it is called with are from the same file.
    """
    try:
        if is_own_code(name):
            _require_reader_class(name)
        open_reader(name, class_names)
    except ConfigurationError as error:
        _log.warning("nothing is read from the predictions: %s", error)
        return "none"
    return name


def _require_reader_class(name: str) -> None:
    reader = load_own_code(name, "reading")
    if not isinstance(reader, type) or not all(callable(getattr(reader, method, None)) for method in _METHODS):
        raise ConfigurationError(
            f"reading: {name} is not a class with the methods read and same; a model file can name no other code"
        )
