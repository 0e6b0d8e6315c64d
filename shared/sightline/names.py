"""Tables of names: the valid names of a configuration key, and the modules to import for them."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sightline.errors import ConfigurationError
from sightline.url_secrets import redact

_OWN_CODE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

_LONGEST = 200
"""Maximum number of characters of a name in a message."""


class NameTable(Mapping[str, str]):
    """Name -> module and attribute, such as ``sightline.tracking.text:TRACKER``; ``*`` is replaced by the name.

    Args:
        noun: What the names are, such as ``tracker``.
        targets: The entries, in the order of listings.
    """

    def __init__(self, noun: str, targets: Mapping[str, str]) -> None:
        self.noun = noun
        self._targets = targets

    def __getitem__(self, name: str) -> str:
        return self._targets[name].replace("*", name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def require(self, name: str, place: str = "") -> str:
        """Return the name if it is in the table.

        Args:
            name: The given name.
            place: Where it was given, such as ``train.trackers``.

        Raises:
            ConfigurationError: It is not in the table.
        """
        if name not in self:
            raise ConfigurationError(f"{place}{': ' if place else ''}{unknown_name(self.noun, name, tuple(self))}")
        return name

    def load(self, name: str, place: str = "") -> Any:  # noqa: ANN401  (the caller knows the type)
        """Import the object for a name; arguments and errors as for :meth:`require`."""
        module, _, attribute = self[self.require(name, place)].partition(":")
        return getattr(importlib.import_module(module), attribute)


def unknown_name(noun: str, name: object, known: Collection[str], shown: str = "") -> str:
    """The message about an unknown name, with the most similar known name and the list of known names.

    Args:
        noun: What it should be, such as ``backbone``.
        name: The given value.
        known: The known names.
        shown: Text to show instead of the list of known names.

    Example:
        >>> unknown_name("backbone", "resnet5", ("resnet50", "vgg"))
        "unknown backbone 'resnet5'; did you mean resnet50? Available: resnet50, vgg"
    """
    text = redact(repr(name))  # before it is shortened: without its end, a URL's password would not be recognized
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    near = difflib.get_close_matches(str(name)[:_LONGEST], known, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else "."
    return f"unknown {noun} {text}{meant} Available: {shown or ', '.join(known) or 'none'}"


def is_own_code(name: object) -> bool:
    """Whether a name has the form ``module:attribute``, with which a recipe names code of its own."""
    return isinstance(name, str) and _OWN_CODE.fullmatch(name) is not None


def load_own_code(name: str, place: str) -> Any:  # noqa: ANN401  (the caller knows the type)
    """Import code of a recipe's own.

    Args:
        name: ``module:attribute``.
        place: The key of the configuration that names it, such as ``reading``.

    Raises:
        ConfigurationError: It cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"{place}: cannot import {name} ({type(error).__name__}: {error}); the module must be importable where the "
            "pipeline runs (installed, or published with publish-code), and have this attribute"
        ) from error
