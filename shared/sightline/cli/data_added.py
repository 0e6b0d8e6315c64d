"""What ``sightline data add`` says: what was taken and left out, and the next command."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import sightline
from sightline.cli.suggested_classes import fit_a_command_line, suggested_overrides
from sightline.config.decode import SMALL_RECIPE, recipe_document
from sightline.config.settings import embedded_or_own
from sightline.data.folder_files import FolderFiles, first_names, suffix_of
from sightline.data.labels import IGNORED_LABEL

if TYPE_CHECKING:
    from sightline.data.repository import Added


def added_lines(added: Added, repository: Path) -> list[str]:
    """The report of an addition.

    Args:
        added: What was done.
        repository: Where.
    """
    state = "added" if added.new else "is there already; nothing changed"
    lines = [f"{added.tag}: {state} ({added.files} files, commit {added.commit[:12]})", *folder_lines(added.found)]
    unlabelled = added.annotations.unlabelled_images
    if unlabelled:
        lines.append(f"note: {unlabelled} image{'s'[: unlabelled != 1]} without a JSON file: stored, but not recorded")
    if added.faults:
        lines.append(f"note: record will stop at {added.faults} fault{'s'[: added.faults != 1]} (--allow-faults)")
    return [*lines, _next_line(added, repository)]


def folder_lines(found: FolderFiles) -> list[str]:
    """What a folder holds besides annotations and images."""
    lines = [f"left out: {first_names(found.left_out, 'hidden or temporary file')}"] if found.left_out else []
    if found.foreign_images:
        kinds = Counter(map(suffix_of, found.foreign_images))
        shown = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        lines.append(f"note: images of kinds that Sightline does not read: {shown}; convert them to JPEG or PNG")
    return lines


def _next_line(added: Added, repository: Path) -> str:
    """The command that trains on the version; it works when pasted."""
    settings = [f"data.tag={added.tag}"]
    recipe, classes = _recipe_and_classes(added.annotations.labels)
    if recipe != "plates" and not classes:
        return "next: label some objects; record needs at least one class"
    if not fit_a_command_line(classes):
        return "next: write a recipe of your own with data.classes: they are too many for a command line"
    settings += classes
    if Path(embedded_or_own("data", "repository")).expanduser() != repository:
        settings.append(f"data.repository={repository}")
    overrides = [part for setting in settings for part in ("--set", setting)]
    return f"next: {shlex.join([_python(), _pipeline(), 'run', '--local', '--recipe', recipe, *overrides])}"


def _recipe_and_classes(labels: Mapping[str, int]) -> tuple[str, list[str]]:
    """The recipe for these labels, and the overrides that name its classes."""
    objects = set(labels) - {IGNORED_LABEL}
    if objects and objects <= set(_classes("plates")):
        return "plates", []
    return SMALL_RECIPE, suggested_overrides(labels, [])


def _classes(recipe: str) -> list[str]:
    section = recipe_document(recipe).get("data", {})
    return list(section.get("classes", ()))


def _python() -> str:
    """``python`` where that is this one."""
    found = shutil.which("python")
    return (
        "python" if found and Path(found).parent.resolve() == Path(sys.executable).parent.resolve() else sys.executable
    )


def _pipeline() -> str:
    """``pipeline.py``, from where the command was given."""
    path = Path(sightline.__file__).parents[2] / "pipeline.py"
    return str(path) if path.is_file() and path.parent != Path.cwd() else "pipeline.py"
