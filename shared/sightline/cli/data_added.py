"""The output of ``sightline data add``: what was added and left out, and the next command."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import sightline
from sightline.cli.suggested_classes import fit_a_command_line, suggested_settings
from sightline.config.decode import SMALL_RECIPE, small_recipe
from sightline.config.settings import embedded_or_own
from sightline.data.folder_files import FolderFiles, first_names, suffix_of
from sightline.plural import counted

if TYPE_CHECKING:
    from sightline.data.repository.creation import Added


def added_lines(added: Added, repository: Path) -> list[str]:
    """The report of an addition.

    Args:
        added: The result of the addition.
        repository: The data repository.
    """
    state = "added" if added.new else "already exists; nothing changed"
    lines = [f"{added.tag}: {state} ({added.files} files, commit {added.commit[:12]})", *folder_lines(added.found)]
    unlabelled = added.annotations.unlabelled_images
    if unlabelled:
        what = "a JSON file" if added.annotations.format == "labelme" else "annotations"
        lines.append(f"note: {counted(unlabelled, 'image')} without {what}: stored, but not recorded")
    following = _next_line(added, repository)
    spellings = sum(fault.kind == "unknown_label" for fault in added.annotations.faults)
    mapped = spellings if "data.aliases=" in following else 0
    if added.faults > mapped:
        lines.append(f"note: record will stop at {counted(added.faults - mapped, 'fault')} (--allow-faults)")
    if mapped:
        lines.append(
            f"note: {counted(mapped, 'label')} spelled differently; data.aliases in the next command maps them"
        )
    return [*lines, following]


def folder_lines(found: FolderFiles) -> list[str]:
    """Files of a folder other than annotations and images."""
    lines = [f"left out: {first_names(found.left_out, 'hidden or temporary file')}"] if found.left_out else []
    if found.foreign_images:
        kinds = Counter(map(suffix_of, found.foreign_images))
        shown = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        lines.append(f"note: images in formats that Sightline does not read: {shown}; convert them to JPEG or PNG")
    return lines


def _next_line(added: Added, repository: Path) -> str:
    """The command that trains on the version; it can be pasted into a shell."""
    settings = [f"data.tag={added.tag}"]
    recipe, classes = suggested_settings(added.annotations, [])
    recipe = small_recipe(recipe) or recipe
    if not recipe and not classes:
        return "next: label some objects; record needs at least one class"
    if not fit_a_command_line(classes):
        return "next: write your own recipe with data.classes: there are too many for a command line"
    settings += classes
    if Path(embedded_or_own("data", "repository")).expanduser() != repository:
        settings.append(f"data.repository={repository}")
    overrides = [part for setting in settings for part in ("--set", setting)]
    command = [_python(), _pipeline(), "run", "--local", "--recipe", recipe or SMALL_RECIPE, *overrides]
    return f"next: {shlex.join(command)}"


def _python() -> str:
    """``python`` if that is the running interpreter, otherwise its path."""
    found = shutil.which("python")
    return (
        "python" if found and Path(found).parent.resolve() == Path(sys.executable).parent.resolve() else sys.executable
    )


def _pipeline() -> str:
    """The path of ``pipeline.py`` relative to the current folder."""
    path = Path(sightline.__file__).parents[2] / "pipeline.py"
    return str(path) if path.is_file() and path.parent != Path.cwd() else "pipeline.py"
