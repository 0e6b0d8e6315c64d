"""``sightline labelme``: what is wrong with a folder of annotations, before a run finds out."""

from __future__ import annotations

import itertools
import shlex
import sys
from collections import Counter
from pathlib import Path

import click
import yaml

from sightline.cli.data_added import folder_lines
from sightline.config.decode import decode
from sightline.config.schema import Data, Faults
from sightline.data.adding import unstored_images
from sightline.data.annotations import FAULT_KINDS, Annotations, Fault
from sightline.data.folder_files import list_files, shown
from sightline.data.labelme import read_folder, stopping_faults

_ANY_CLASS = "(any)"
_IGNORED = "__ignore__"
"""labelme's own mark for what is no object of the dataset."""

_CONSEQUENCES = {"drop": "left out", "clip": "cut at the image's border"}


@click.group()
def command() -> None:
    """Check labelme annotations."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--recipe", metavar="NAME", help="Check against the classes and policies of this recipe.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the recipe; may be repeated.")
def check(folder: Path, recipe: str | None, overrides: tuple[str, ...]) -> None:
    """List everything that is wrong with the labelme files below FOLDER, and exit with 1 if anything is.

    The files are those that sightline data add would store; what it would refuse is listed too.

    Without --recipe and --set data.classes=[...] every label is taken, and the list of classes is printed to paste.
    """
    if recipe is None:
        data = decode("instance_segmentation", [f"data.classes=[{_ANY_CLASS}]", *overrides]).data
    else:
        data = decode(recipe, overrides).data
    classes_known = data.classes != (_ANY_CLASS,)
    annotations = read_folder(folder, data, classes_known=classes_known)
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
    click.echo(_verdict(len(annotations.faults), stopping) if annotations.faults or not refused else "fix these first")
    sys.exit(1 if annotations.faults or refused else 0)


def _fault_lines(faults: list[Fault]) -> list[str]:
    lines = []
    for file, group in itertools.groupby(faults, key=lambda fault: fault.file):
        lines.append(file if file.isprintable() else repr(file))
        lines += [f"  {_place(fault)}{fault.reason}; {fault.remedy}" for fault in group]
    return lines


def _place(fault: Fault) -> str:
    if fault.shape is None:
        return ""
    return f"shape {fault.shape}{f' {fault.label!r}' if fault.label else ''}: "


def _summary_lines(annotations: Annotations, policies: Faults) -> list[str]:
    shapes, instances = sum(annotations.labels.values()), sum(len(image.instances) for image in annotations.images)
    lines = [
        f"{_count(annotations.files, 'file')}, {_count(shapes, 'shape')} "
        f"-> {_count(len(annotations.images), 'image')}, {_count(instances, 'instance')}"
    ]
    counts = Counter(fault.kind for fault in annotations.faults)
    for kind in FAULT_KINDS:
        if counts[kind]:
            policy = getattr(policies, kind)
            result = (
                f"{annotations.dropped.get(kind, 0):,} {_CONSEQUENCES[policy]}" if policy != "error" else "record stops"
            )
            lines.append(f"  {kind:<18}{counts[kind]:>7}  data.faults.{kind}={policy}: {result}")
    if annotations.ignored:
        lines.append(f"  {'ignored labels':<18}{annotations.ignored:>7}  left out on purpose")
    return lines


def _label_lines(annotations: Annotations, data: Data, classes_known: bool) -> list[str]:
    labels = annotations.labels
    shown = {label: label if label.isprintable() else repr(label) for label in labels}
    width = max(map(len, shown.values()), default=0)
    lines = ["labels"] if labels else []
    lines += [f"  {shown[label]:<{width}}{count:>7}" for label, count in labels.items()]
    if classes_known:
        unused = [name for name in data.classes if name not in labels]
        return lines + ([f"classes without a shape: {', '.join(unused)}"] if unused else [])
    left_out = {_IGNORED, *data.ignored_labels}
    if classes := [label for label in labels if label not in left_out]:
        lines += ["to use all of them as classes:", f"  --set {_quoted('data.classes', classes)}"]
        if _IGNORED in labels and _IGNORED not in data.ignored_labels:
            lines[-1] += f" --set {_quoted('data.ignored_labels', [*data.ignored_labels, _IGNORED])}"
    return lines


def _quoted(name: str, values: list[str]) -> str:
    document = yaml.safe_dump(values, default_flow_style=True, allow_unicode=True, width=10**9)
    return shlex.quote(f"{name}={document.strip()}")


def _note_lines(annotations: Annotations) -> list[str]:
    count = annotations.unlabelled_images
    if not count:
        return []
    have, are = ("has", "is") if count == 1 else ("have", "are")
    return [f"note: {_count(count, 'image')} {have} no JSON file and {are} not part of the dataset"]


def _verdict(faults: int, stopping: int) -> str:
    if not faults:
        return "no fault"
    if stopping:
        return f"{_count(faults, 'fault')}; record would stop at {stopping} of them"
    return f"{_count(faults, 'fault')}; record would go on, as the policies say"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s'[: number != 1]}"
