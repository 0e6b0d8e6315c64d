"""Tables of names: what a name in the configuration can be, and what is imported for it on use."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from sightline.errors import ConfigurationError


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


def unknown_name(noun: str, name: object, known: Mapping[str, Any] | tuple[str, ...], more: str = "") -> str:
    """What is wrong with a name that a table does not have, the nearest that it has, and all of them.

    Args:
        noun: What it should be, such as ``backbone``.
        name: Whatever was given.
        known: The names that there are.
        more: Said instead of listing all of them.

    Example:
        >>> unknown_name("backbone", "resnet5", ("resnet50", "vgg"))
        "no backbone called 'resnet5'; did you mean resnet50? There are: resnet50, vgg"
    """
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else "."
    return f"no {noun} called {name!r}{meant} There are: {more or ', '.join(known) or 'none'}"
