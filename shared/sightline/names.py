"""Tables of names: what a name in the configuration can be, and what is imported for it on use."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sightline.errors import ConfigurationError

_LONGEST = 200
"""Characters of a name that a message shows."""


class NameTable(Mapping[str, str]):
    """Name -> module and attribute, such as ``sightline.tracking.text:TRACKER``; in it ``*`` stands for the name.

    Args:
        noun: What each of them is, such as ``tracker``.
        targets: In the order in which they are listed.
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
        """The name, if it is in the table.

        Args:
            name: Whatever was given.
            place: Where it was given, such as ``train.trackers``.

        Raises:
            ConfigurationError: It is not.
        """
        if name not in self:
            raise ConfigurationError(f"{place}{': ' if place else ''}{unknown_name(self.noun, name, tuple(self))}")
        return name

    def load(self, name: str, place: str = "") -> Any:  # noqa: ANN401  (the caller says what it is)
        """What the name stands for; arguments and errors as :meth:`require`."""
        module, _, attribute = self[self.require(name, place)].partition(":")
        return getattr(importlib.import_module(module), attribute)


def unknown_name(noun: str, name: object, known: Collection[str], shown: str = "") -> str:
    """What is wrong with a name that a table does not have, the nearest that it has, and all of them.

    Args:
        noun: What it should be, such as ``backbone``.
        name: Whatever was given.
        known: The names that there are.
        shown: What to say in place of all of them.

    Example:
        >>> unknown_name("backbone", "resnet5", ("resnet50", "vgg"))
        "no backbone called 'resnet5'; did you mean resnet50? There are: resnet50, vgg"
    """
    text = repr(name)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    near = difflib.get_close_matches(str(name)[:_LONGEST], known, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else "."
    return f"no {noun} called {text}{meant} There are: {shown or ', '.join(known) or 'none'}"
