"""The recipe that matches the labels of a folder, and overrides that turn every label into a class."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

import yaml

from sightline.config.decode import recipe_document
from sightline.config.labels import Keypoints
from sightline.data.annotations import Annotations
from sightline.data.formats.csv_file import GROUP_COLUMNS, SPLIT_COLUMNS
from sightline.data.formats.labels import IGNORED_LABEL, cleaned, respelled
from sightline.data.tools.writers.files import box_polygon

LONGEST_ARGUMENT = 100_000
"""Maximum length in characters; Linux allows 131,072 bytes, and some characters are quoted."""


PLATES = "plates"
"""The recipe with built-in classes."""

CLASSIFICATION, KEYPOINTS, DETECTION = "classification", "keypoints", "object_detection"
"""The recipes for labels of whole images, for objects with keypoints, and for boxes without outlines."""


def suggested_settings(annotations: Annotations, ignored: Sequence[str]) -> tuple[str, list[str]]:
    """The recipe for a folder and the overrides that it needs.

    Args:
        annotations: The annotations, read without known classes.
        ignored: ``data.ignored_labels``.

    Returns:
        An empty name if the objects have outlines: any recipe for objects can be used.
    """
    if annotations.label_sets:
        return CLASSIFICATION, [*_label_sets(annotations, ignored), *_columns(annotations)]
    recipe, overrides = fitting_recipe(annotations.labels, ignored)
    if not recipe and annotations.keypoints.names and overrides:
        return KEYPOINTS, [*overrides, *_keypoints(annotations.keypoints)]
    if not recipe and overrides and _only_boxes(annotations):
        return DETECTION, overrides
    return recipe, overrides


def _only_boxes(annotations: Annotations) -> bool:
    """Whether no object has an outline other than its box, so that there is nothing to learn about masks."""
    instances = [instance for image in annotations.images for instance in image.instances]
    return bool(instances) and all(map(box_polygon, instances))


def _label_sets(annotations: Annotations, ignored: Sequence[str]) -> list[str]:
    """Overrides for the label sets that were found; a single one needs only its classes."""
    if len(annotations.label_sets) == 1:
        return suggested_overrides(next(iter(annotations.label_sets.values())), ignored)
    sets = (f"{_scalar(name)}: {_list(sorted(classes))}" for name, classes in annotations.label_sets.items())
    return [f"data.label_sets={{{', '.join(sets)}}}"]


def _columns(annotations: Annotations) -> list[str]:
    """Overrides for the columns with group and split of a table, by their usual names."""
    by_name = {column.lower(): column for column in annotations.unused_columns}
    overrides = []
    for setting, names in (("group", GROUP_COLUMNS), ("split", SPLIT_COLUMNS)):
        found = [by_name[name] for name in names if name in by_name]
        overrides += [f"data.columns.{setting}={_scalar(column)}" for column in found[:1]]
    return overrides


def _keypoints(keypoints: Keypoints) -> list[str]:
    overrides = [f"data.keypoints.names={_list(keypoints.names)}"]
    for setting, pairs in (("skeleton", keypoints.skeleton), ("flip_pairs", keypoints.flip_pairs)):
        if pairs:
            overrides.append(f"data.keypoints.{setting}=[{', '.join(map(_list, pairs))}]")
    return overrides


def fitting_recipe(labels: Mapping[str, int], ignored: Sequence[str]) -> tuple[str, list[str]]:
    """The recipe whose classes match these labels, ignoring spelling, and the overrides that it needs.

    Args:
        labels: Number of shapes with each label.
        ignored: ``data.ignored_labels``.

    Returns:
        If no recipe matches, an empty name and the overrides of :func:`suggested_overrides`.
    """
    from sightline.tasks.readers.plates import TEXTS_OF_BOARD

    classes = recipe_document(PLATES)["data"]["classes"]
    meant = respelled(labels, (IGNORED_LABEL, *ignored, *classes))
    names = {meant.get(label, label) for label in labels if cleaned(label)} - {IGNORED_LABEL, *ignored}
    # Labels with only digits match too many datasets.
    if names <= set(classes) and names & TEXTS_OF_BOARD.keys():
        return PLATES, _label_overrides(labels, ignored, meant)
    return "", suggested_overrides(labels, ignored)


def suggested_overrides(labels: Mapping[str, int], ignored: Sequence[str]) -> list[str]:
    """Overrides that turn every label into a class; different spellings of a name share one class.

    Args:
        labels: Number of shapes with each label.
        ignored: ``data.ignored_labels``.

    Returns:
        ``data.classes=[...]``, and ``data.ignored_labels`` and ``data.aliases`` if needed; empty if there are no
        classes.
    """
    meant = respelled(labels, (IGNORED_LABEL, *ignored))
    names = sorted({meant.get(label, label) for label in labels if cleaned(label)})
    classes = [name for name in names if name != IGNORED_LABEL and name not in ignored]
    return [f"data.classes={_list(classes)}", *_label_overrides(labels, ignored, meant)] if classes else []


def _label_overrides(labels: Mapping[str, int], ignored: Sequence[str], meant: Mapping[str, str]) -> list[str]:
    """Overrides that leave out labels that are not classes, and map other spellings."""
    overrides = []
    if IGNORED_LABEL not in ignored and IGNORED_LABEL in {meant.get(label, label) for label in labels}:
        overrides.append(f"data.ignored_labels={_list([*ignored, IGNORED_LABEL])}")
    if meant:
        aliases = {_pattern(label): meant[label] for label in sorted(meant)}
        overrides.append(f"data.aliases={_mapping(aliases)}")
    return overrides


def fit_a_command_line(overrides: Sequence[str]) -> bool:
    """Whether each of ``overrides`` is short enough to be an argument of a command."""
    return all(len(shlex.quote(override)) <= LONGEST_ARGUMENT for override in overrides)


def _pattern(label: str) -> str:
    """A regular expression for an alias that matches only this label."""
    return re.escape(label) if set(label) & set(r"\.^$*+?{}[]|()") else label


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_scalar, values))}]"


def _mapping(values: Mapping[str, str]) -> str:
    # A question mark introduces a key that is too long to be recognized by its colon.
    pairs = ((_scalar(key), _scalar(value)) for key, value in values.items())
    return f"{{{', '.join(f'? {key} : {value}' if len(key) > 500 else f'{key}: {value}' for key, value in pairs)}}}"


def _scalar(text: str) -> str:
    """A YAML string that survives shells, terminals and clipboards: on one line, without invisible characters."""
    plain = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10**9).strip()[1:-1]
    if plain.isprintable():
        return plain
    return yaml.safe_dump([text], default_style='"', default_flow_style=True, width=10**9).strip()[1:-1]
