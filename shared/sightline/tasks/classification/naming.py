"""The names of label sets and classes in predictions, which know only category ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sightline.config.labels import SINGLE_SET


def set_and_class(names: Mapping[int, str], category_ids: Sequence[int], *, several: bool) -> tuple[str, list[str]]:
    """The name of a label set, and those of its classes without it.

    Args:
        names: Category id -> class name, as in ``data.classes``.
        category_ids: The classes of one label set; at least one.
        several: Whether there are several label sets, so that class names begin with them.

    Example:
        >>> set_and_class({1: "mask/on", 2: "mask/off"}, [1, 2], several=True)
        ('mask', ['on', 'off'])
        >>> set_and_class({1: "a/b"}, [1], several=False)
        ('class', ['a/b'])
    """
    listed = [names[id_] for id_ in category_ids]
    if not several:
        return SINGLE_SET, listed
    return listed[0].partition("/")[0], [name.partition("/")[2] for name in listed]
