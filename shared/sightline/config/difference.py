"""Differences between configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PLACES = ("recipe", "data.tag", "data.repository", "storage", "database", "work")
"""Fields that define data and locations, not the method: they are set by a run, not by a recipe."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs between two documents.

    Attributes:
        path: Dotted, such as ``train.iterations``.
        before: Value in the first document; None if it is missing.
        now: Value in the second document; None if it is missing.
    """

    path: str
    before: Any
    now: Any


def differences(before: Any, now: Any, path: str = "") -> list[Difference]:  # noqa: ANN401
    """The values at which two decoded JSON documents differ, by path."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return [] if before == now else [Difference(path, before, now)]
    found = []
    for name in sorted(before.keys() | now.keys()):
        found += differences(before.get(name), now.get(name), f"{path}.{name}".lstrip("."))
    return found


def differences_from_stored(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """The differences from a configuration that may have been stored by an earlier version of Sightline.

    A field that is missing in the stored configuration counts as its default: a new field's default preserves the
        previous
    behavior.  Sections that only the stored one has are left out: the step no longer depends on them.

    Args:
        stored: Sections, or parts of them.
        now: The same parts in the current configuration.
    """
    from sightline.config.defaults import chosen_network, default_document
    from sightline.config.task_declarations import DEFAULT_TASK

    known = {name: value for name, value in stored.items() if name in now}
    task = now.get("task", stored.get("task", DEFAULT_TASK))
    return differences(_completed(known, now, default_document(task, chosen_network(now))), now)


def _completed(stored: Any, now: Any, defaults: Any) -> Any:  # noqa: ANN401
    if not isinstance(stored, dict) or not isinstance(now, Mapping) or not isinstance(defaults, dict):
        return stored
    added = {name: defaults[name] for name in now.keys() & defaults.keys() - stored.keys()}
    return added | {name: _completed(value, now.get(name), defaults.get(name)) for name, value in stored.items()}


def differences_from_recipe(configuration: Mapping[str, Any]) -> list[Difference] | None:
    """The differences of a run's configuration from its recipe in this release; None if the recipe does not exist."""
    from sightline.config.decode import recipe_document, recipe_names

    recipe = str(configuration.get("recipe", ""))
    if recipe not in recipe_names():
        return None
    found = differences(
        _with_complete_augmentation(recipe_document(recipe)), _with_complete_augmentation(configuration)
    )
    return [one for one in found if not any(f"{one.path}.".startswith(f"{place}.") for place in PLACES)]


def _with_complete_augmentation(document: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the augmentation as a list with all values: it was a mapping in earlier releases."""
    from sightline.config.augmentation import complete

    train = document.get("train")
    if not isinstance(train, Mapping) or "augmentation" not in train:
        return dict(document)
    return {**document, "train": {**train, "augmentation": complete(train["augmentation"])}}
