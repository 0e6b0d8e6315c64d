"""``sightline labelme``: what is wrong with a folder of annotations, before a run finds out."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
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
from sightline.data.labels import IGNORED_LABEL, LabelMap, cleaned, respelled
from sightline.data.training_set import left_out_lines
from sightline.plural import counted

_ANY_CLASS = "\0"
"""Stands for all labels; no label is this."""

_LONGEST_ARGUMENT = 100_000
"""Characters; Linux takes 131,072 bytes, and some are quoted."""

_CONSEQUENCES = {"drop": "left out", "clip": "cut at the image's border", "embedded": "read from imageData"}


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
        data = decode("instance_segmentation", [f"data.classes={json.dumps([_ANY_CLASS])}", *overrides]).data
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
        f"{counted(annotations.files, 'file')}, {counted(shapes, 'shape')} "
        f"-> {counted(len(annotations.images), 'image')}, {counted(instances, 'instance')}"
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
    if annotations.left_out:
        lines.append("objects left out, which become background:")
        lines += [f"  {line}" for line in left_out_lines(annotations.left_out, [])]
    return lines


def _label_lines(annotations: Annotations, data: Data, classes_known: bool) -> list[str]:
    labels = annotations.labels
    targets = LabelMap(data, classes_known=classes_known)
    meant = {label: targets.target(label) for label in labels}
    shown = {label: _shown(label) for label in labels}
    width = max(map(len, shown.values()), default=0)
    lines = ["labels"] if labels else []
    for label, count in labels.items():
        alias = f"  -> {_shown(meant[label])}" if meant[label] != label else ""
        lines.append(f"  {shown[label]:<{width}}{count:>7}{alias}")
    if classes_known:
        unused = [name for name in data.classes if name not in meant.values()]
        return lines + ([f"classes without a shape: {', '.join(unused)}"] if unused else [])
    overrides = suggested_overrides(labels, data.ignored_labels)
    if max(map(len, map(shlex.quote, overrides)), default=0) > _LONGEST_ARGUMENT:
        lines.append("these are too many for a command line: write data.classes into a recipe of your own")
    elif overrides:
        arguments = " ".join(f"--set {shlex.quote(override)}" for override in overrides)
        lines += ["to use all of them as classes:", f"  {arguments}"]
    return lines


def suggested_overrides(labels: Mapping[str, int], ignored: Sequence[str]) -> list[str]:
    """Overrides that make a class of every label: one for each name, however it is spelled.

    Args:
        labels: How many shapes carry each.
        ignored: ``data.ignored_labels``.

    Returns:
        ``data.classes=[...]``, and ``data.ignored_labels`` and ``data.aliases`` where they are needed; nothing where
        there is no class.
    """
    meant = respelled(labels, (IGNORED_LABEL, *ignored))
    names = sorted({meant.get(label, label) for label in labels if cleaned(label)})
    left_out = [*ignored, *([IGNORED_LABEL] if IGNORED_LABEL in names and IGNORED_LABEL not in ignored else [])]
    classes = [name for name in names if name not in left_out]
    if not classes:
        return []
    overrides = [f"data.classes={_list(classes)}"]
    if left_out != list(ignored):
        overrides.append(f"data.ignored_labels={_list(left_out)}")
    if meant:
        aliases = {_pattern(label): meant[label] for label in sorted(meant)}
        overrides.append(f"data.aliases={_mapping(aliases)}")
    return overrides


def _pattern(label: str) -> str:
    """A label as an alias of itself alone: aliases are regular expressions, too."""
    return re.escape(label) if set(label) & set(r"\.^$*+?{}[]|()") else label


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_scalar, values))}]"


def _mapping(values: Mapping[str, str]) -> str:
    # A question mark begins a key that is too long to be known as one by its colon.
    pairs = ((_scalar(key), _scalar(value)) for key, value in values.items())
    return f"{{{', '.join(f'? {key} : {value}' if len(key) > 500 else f'{key}: {value}' for key, value in pairs)}}}"


def _scalar(text: str) -> str:
    """A string of YAML that a shell, a terminal and a clipboard leave as it is: on one line, nothing invisible."""
    plain = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10**9).strip()[1:-1]
    if plain.isprintable():
        return plain
    return yaml.safe_dump([text], default_style='"', default_flow_style=True, width=10**9).strip()[1:-1]


def _shown(label: str) -> str:
    """A label as it is, or quoted where a blank or another character at its end would not be seen."""
    return label if label.isprintable() and label == label.strip() else ascii(label)


def _note_lines(annotations: Annotations) -> list[str]:
    count = annotations.unlabelled_images
    if not count:
        return []
    have, are = ("has", "is") if count == 1 else ("have", "are")
    return [f"note: {counted(count, 'image')} {have} no JSON file and {are} not part of the dataset"]


def _verdict(faults: int, stopping: int) -> str:
    if not faults:
        return "no fault"
    if stopping:
        return f"{counted(faults, 'fault')}; record would stop at {stopping} of them"
    return f"{counted(faults, 'fault')}; record would go on, as the policies say"
