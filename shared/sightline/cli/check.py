"""``sightline check``: check a folder of annotations before a run does."""

from __future__ import annotations

import itertools
import json
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from sightline.cli.columns import padded, widest
from sightline.cli.data_added import folder_lines
from sightline.cli.suggested_classes import CLASSIFICATION, KEYPOINTS, PLATES, fit_a_command_line, suggested_settings
from sightline.config.data import AUTO_FORMAT, Data, Faults
from sightline.config.decode import decode
from sightline.config.labels import SINGLE_SET, LabelSet
from sightline.data.annotations import FAULT_KINDS, Annotations, Fault
from sightline.data.folder_files import list_files, shown
from sightline.data.formats.labels import LabelMap
from sightline.data.formats.reading import stopping_faults
from sightline.data.formats.recognition import recognized
from sightline.data.formats.registry import IMAGE_LABEL_FORMATS, read_annotations
from sightline.data.recording.training_set import left_out_lines
from sightline.data.repository.adding import unstored_images
from sightline.plural import counted

_ANY_CLASS = "\0"
"""Represents all labels; no real label has this value."""

_CONSEQUENCES = {"drop": "left out", "clip": "cut at the image's border", "embedded": "read from imageData"}


_OBJECTS = {"labelme": "shape"}
"""Format -> what its objects are called."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--recipe", metavar="NAME", help="Check against the classes and data.faults of this recipe.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the recipe; repeatable.")
def command(folder: Path, recipe: str | None, overrides: tuple[str, ...]) -> None:
    """List all faults in the annotations in FOLDER; exit with 1 if there are any.

    The format is recognized by the files: labelme, COCO, YOLO, a CSV file, or a folder for each class. Name it with
    --set data.format=... if several fit.

    Checks the files that sightline data add would store, and also lists files that it would refuse.

    Without --recipe and --set data.classes=[...], every label is accepted, and the options for these classes are
    printed: a recipe that has them, or values for --set.
    """
    check(folder, recipe, overrides)


def check(folder: Path, recipe: str | None, overrides: Sequence[str]) -> None:
    """Check a folder, print the report, and exit."""
    data = _data(folder, recipe, overrides)
    classes_known = data.classes != (_ANY_CLASS,)
    annotations = read_annotations(folder, data, classes_known=classes_known)
    files = list_files(folder)
    refused = [f"{shown(name)}: {reason}" for name, reason in files.refused.items()]
    refused += unstored_images(annotations, files)
    for block in (
        _fault_lines(annotations.faults),
        _summary_lines(annotations, data.faults),
        _label_lines(annotations, data, classes_known),
        _note_lines(annotations),
        folder_lines(files),
        ["sightline data add would refuse:", *(f"  {line}" for line in refused)] if refused else [],
    ):
        if block:
            click.echo("\n".join(block) + "\n")
    stopping = len(stopping_faults(annotations, data.faults))
    if not annotations.images and not stopping:
        click.echo("no image can be used; label images, then check again")
    else:
        click.echo(
            _verdict(len(annotations.faults), stopping) if annotations.faults or not refused else "fix these first"
        )
    sys.exit(1 if annotations.faults or refused or not annotations.images else 0)


def _data(folder: Path, recipe: str | None, overrides: Sequence[str]) -> Data:
    """The section ``data`` of a recipe, or one that accepts every label and fits the format."""
    if recipe is not None:
        return decode(recipe, overrides).data
    if any(override.startswith("data.label_sets") for override in overrides):
        return decode(CLASSIFICATION, overrides).data
    data = decode("instance_segmentation", [f"data.classes={json.dumps([_ANY_CLASS])}", *overrides]).data
    name = recognized(folder) if data.format == AUTO_FORMAT else data.format
    if name in IMAGE_LABEL_FORMATS and data.classes != (_ANY_CLASS,):
        return data.model_copy(update={"format": name, "label_sets": {SINGLE_SET: LabelSet(classes=data.classes)}})
    return data.model_copy(update={"format": name})


def _fault_lines(faults: list[Fault]) -> list[str]:
    lines = []
    for file, group in itertools.groupby(faults, key=lambda fault: fault.file):
        lines.append(file if file.isprintable() else repr(file))
        lines += [f"  {_place(fault)}{fault.reason}; {fault.remedy}" for fault in group]
    return lines


def _place(fault: Fault) -> str:
    if not fault.place:
        return ""
    return f"{fault.place}{f' {fault.label!r}' if fault.label else ''}: "


def _summary_lines(annotations: Annotations, policies: Faults) -> list[str]:
    count, instances = sum(annotations.labels.values()), sum(len(image.instances) for image in annotations.images)
    noun = "label" if annotations.label_sets else _OBJECTS.get(annotations.format, "object")
    read = [counted(annotations.files, "file")] * bool(annotations.files) + [counted(count, noun)]
    result = [counted(len(annotations.images), "image")]
    result += [] if annotations.label_sets else [counted(instances, "instance")]
    lines = [f"{annotations.format}: {', '.join(read)} -> {', '.join(result)}"]
    counts = Counter(fault.kind for fault in annotations.faults)
    for kind in FAULT_KINDS:
        if counts[kind]:
            policy = getattr(policies, kind)
            consequence = (
                f"{annotations.dropped.get(kind, 0):,} {_CONSEQUENCES[policy]}" if policy != "error" else "record stops"
            )
            lines.append(f"  {kind:<18}{counts[kind]:>7}  data.faults.{kind}={policy}: {consequence}")
    if annotations.ignored:
        lines.append(f"  {'ignored labels':<18}{annotations.ignored:>7}  left out on purpose")
    if annotations.left_out:
        lines.append("objects left out (they become background):")
        lines += [f"  {line}" for line in left_out_lines(annotations.left_out, [])]
    return lines


def _label_lines(annotations: Annotations, data: Data, classes_known: bool) -> list[str]:
    labels = annotations.labels
    targets = LabelMap(data, classes_known=classes_known)
    meant = {label: targets.target(label) for label in labels}
    shown = {label: _shown(label) for label in labels}
    width = widest(shown.values())
    lines = ["labels"] if labels else []
    for label, count in labels.items():
        alias = f"  -> {_shown(meant[label])}" if meant[label] != label else ""
        lines.append(f"  {padded(shown[label], width)}{count:>7}{alias}")
    if classes_known:
        unused = [name for name in data.classes if name not in meant.values()]
        noun = "an image" if data.label_sets else f"a {_OBJECTS.get(annotations.format, 'object')}"
        return lines + ([f"classes without {noun}: {', '.join(unused)}"] if unused else [])
    recipe, overrides = suggested_settings(annotations, data.ignored_labels)
    arguments = [f"--recipe {recipe}"] * bool(recipe) + [f"--set {shlex.quote(override)}" for override in overrides]
    if not fit_a_command_line(overrides):
        lines.append("there are too many for a command line: write data.classes into your own recipe")
    elif arguments:
        reason = (
            f"they are the classes of the recipe {recipe}"
            if recipe == PLATES
            else "to use all of these labels as classes"
        )
        lines += [f"{reason}:", f"  {' '.join(arguments)}"]
        if recipe == KEYPOINTS and not annotations.keypoints.skeleton:
            lines.append("note: the files name no lines between keypoints; to draw some, set data.keypoints.skeleton")
    return lines


def _shown(label: str) -> str:
    """A label as it is, or quoted if it begins or ends with a space or another invisible character."""
    return label if label.isprintable() and label == label.strip() else ascii(label)


def _note_lines(annotations: Annotations) -> list[str]:
    notes = []
    count = annotations.unlabelled_images
    if annotations.format == "labelme" and count:
        have, are = ("has", "is") if count == 1 else ("have", "are")
        notes.append(f"note: {counted(count, 'image')} {have} no JSON file and {are} not part of the dataset")
    elif count:
        notes.append(f"note: {counted(count, 'image')} without annotations, so not part of the dataset")
    for column, values in annotations.unused_columns.items():
        notes.append(f"note: column {column} ({counted(values, 'different value')}) is not taken for a label set")
    return notes


def _verdict(faults: int, stopping: int) -> str:
    if not faults:
        return "no fault"
    if stopping:
        return f"{counted(faults, 'fault')}; record would stop at {stopping} of them"
    return f"{counted(faults, 'fault')}; record would continue, as set in data.faults"
