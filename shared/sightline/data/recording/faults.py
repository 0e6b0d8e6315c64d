"""The message about faulty annotations: labels with counts, and the settings that would accept them."""

from __future__ import annotations

import difflib
import re
import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import yaml

from sightline.config.data import Data
from sightline.config.labels import SINGLE_SET
from sightline.data.annotations import Annotations, Fault
from sightline.data.formats.labels import LabelMap, cleaned, difference
from sightline.plural import counted

SHOWN_LINES = 50
LONGEST_SETTING = 2_000
"""Maximum number of characters; a longer list of classes belongs in a recipe, not in a message."""


def fault_message(tag: str, faults: Sequence[Fault], annotations: Annotations, data: Data, listed: Path) -> str:
    """The faults, how to fix or accept them, and the file that lists all of them.

    Args:
        tag: The version.
        faults: The faults that stop record.
        annotations: The annotations.
        data: The classes, ignored labels and aliases used for reading.
        listed: The file with all faults.
    """
    lines = fault_lines(faults)
    more = [f"and {len(lines) - SHOWN_LINES} more"] if len(lines) > SHOWN_LINES else []
    kinds = ", ".join(sorted({f"data.faults.{fault.kind}=drop" for fault in faults}))
    settings = label_settings(faults, annotations, data)
    use = f"to use these labels, add {' '.join(settings)}; or " if settings else ""
    first = (
        f"{tag} has {counted(len(faults), 'fault')}; {use}fix the annotations and add them as a new version, or let "
        f"record leave them out ({kinds}); all of them are listed in {listed}:"
    )
    return "\n".join([first, *(f"  {line}" for line in [*lines[:SHOWN_LINES], *more])])


def fault_lines(faults: Sequence[Fault]) -> list[str]:
    """One line for each label that maps to no class, with its number of places; then one for each other fault."""
    groups: dict[tuple[str, str], list[Fault]] = defaultdict(list)
    for fault in faults:
        if fault.kind == "unknown_label":
            groups[fault.label or "", fault.reason].append(fault)
    lines = []
    for (label, reason), group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        files = counted(len({fault.file for fault in group}), "file")
        noun = "label" if all(fault.shape is None for fault in group) else "shape"
        lines.append(f"{label!r}: {counted(len(group), noun)} in {files}; {reason}")
    return lines + [str(fault) for fault in faults if fault.kind != "unknown_label"]


def label_settings(faults: Sequence[Fault], annotations: Annotations, data: Data) -> list[str]:
    """The ``--set`` arguments with which record accepts the labels that map to no class; empty if there are none.

    A misspelled class becomes an alias, every other label a class; a configured class without shapes that is probably a
    misspelling of such a label is left out.
    """
    if data.label_sets and tuple(data.label_sets) != (SINGLE_SET,):
        return []  # data.classes is not the place of the classes
    unknown = {fault.label for fault in faults if fault.kind == "unknown_label" and fault.label}
    names = (*data.classes, *data.ignored_labels)
    meant = {label: known for label in sorted(unknown) for known in names if difference(label, known)}
    new = sorted({cleaned(label) for label in unknown - meant.keys()} - {""})
    used = {LabelMap(data, classes_known=True).target(label) for label in annotations.labels} | set(meant.values())
    unused = [name for name in data.classes if name not in used]
    misspelt = {near for label in new for near in difflib.get_close_matches(label, unused, n=1, cutoff=0.6)}
    aliases = {**data.aliases, **{_pattern(label): known for label, known in meant.items()}}
    misspelt -= set(aliases.values())
    settings = []
    if new:
        settings.append(f"data.classes={_yaml([name for name in data.classes if name not in misspelt] + new)}")
    if meant:
        settings.append(f"data.aliases={_yaml(aliases)}")
    if any(len(setting) > LONGEST_SETTING for setting in settings):
        return []
    return [f"--set {shlex.quote(setting)}" for setting in settings]


def _pattern(label: str) -> str:
    """A regular expression for an alias that matches only this label."""
    return re.escape(label) if set(label) & set(r"\.^$*+?{}[]|()") else label


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**9).strip()
