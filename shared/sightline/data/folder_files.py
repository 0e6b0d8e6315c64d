"""The one rule of which files of a folder belong to a dataset.

``sightline labelme check`` reads, ``sightline data add`` stores and ``record`` sees the files that :func:`list_files`
gives.  The rule:

* **Taken**: every regular file, whatever its name or ending, and every link to a regular file of the same folder (the
  version holds a copy of what it points to).  Endings count without letter case.
* **Left out**, and said so: names that begin with a dot (``.DS_Store``, ``._a.json``), what systems leave behind
  (``Thumbs.db``, ``__MACOSX``), and temporary files and backups (``*.tmp``, ``*.part``, ``*.swp``, ``*.bak``, ``*~``).
  An annotation that refers to an image that is left out is a fault.  Empty folders hold nothing to store.
* **Refused**, by name, with nothing stored: links to folders, links that lead out of the folder or nowhere, pipes,
  sockets and devices, what cannot be read, names that not every system can hold (not UTF-8, control characters,
  backslashes, too long), names that are one on macOS or Windows, and files of DVC or Git, which would act on the data
  repository.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sightline.data.images import IMAGE_SUFFIXES
from sightline.errors import DataError
from sightline.plural import counted
from sightline.relative_path import fault_in

LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx", "__pycache__", "@eadir"})
"""Names, in lower case, of what systems leave behind in folders."""

TEMPORARY_SUFFIXES = (".tmp", ".part", ".swp", ".bak", "~")

TOOL_FILES = frozenset(
    {".git", ".gitignore", ".gitattributes", ".gitmodules", ".dvc", ".dvcignore", "dvc.yaml", "dvc.lock"}
)
"""Names, in lower case, that Git or DVC would act on, or that make a folder a repository."""

FOREIGN_IMAGE_SUFFIXES = frozenset({
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".eps", ".ico", ".pbm", ".pgm", ".ppm", ".tga",
    ".exr", ".hdr", ".dcm", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
})  # fmt: skip
"""Endings of images that Sightline does not read."""

SHOWN_NAMES = 20


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The files below a folder, by :mod:`the rule <sightline.data.folder_files>`.

    Attributes:
        root: The folder.
        files: Relative POSIX paths of what is taken, sorted.
        left_out: Relative POSIX paths of what is left out, sorted; a folder stands for all that is in it.
        refused: Relative POSIX path -> what is wrong with it and what to do.
    """

    root: Path
    files: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def annotation_files(self) -> list[str]:
        """All JSON files, sorted, including refused ones, so that they are reported."""
        return sorted(name for name in (*self.files, *self.refused) if suffix_of(name) == ".json")

    @property
    def images(self) -> list[str]:
        """The files with the ending of an image."""
        return [name for name in self.files if suffix_of(name) in IMAGE_SUFFIXES]

    @property
    def foreign_images(self) -> list[str]:
        """The files with the ending of an image format that Sightline does not read."""
        return [name for name in self.files if suffix_of(name) in FOREIGN_IMAGE_SUFFIXES]

    def require_accepted(self) -> None:
        """Refuse the folder if anything in it is refused.

        Raises:
            DataError: With every name.
        """
        if not self.refused:
            return
        lines = [f"  {shown(name)}: {reason}" for name, reason in list(self.refused.items())[:SHOWN_NAMES]]
        more = len(self.refused) - SHOWN_NAMES
        lines += [f"  and {more} more"] if more > 0 else []
        count = counted(len(self.refused), "entry", "entries")
        raise DataError("\n".join([f"{self.root}: {count} cannot be part of a version; nothing was stored", *lines]))


def list_files(root: Path) -> FolderFiles:
    """List the files below ``root``.  Only names are read; links to folders are never followed.

    Raises:
        DataError: ``root`` is not a folder.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give the folder that holds labelme's JSON files")
    found = FolderFiles(root)
    real_root = os.path.realpath(root)
    for name, entry in _walk(root, "", found):
        if fault := _fault(name, entry, real_root):
            found.refused[name] = fault
        else:
            found.files.append(name)
    _refuse_twins(found)
    found.files.sort()
    found.left_out.sort()
    return found


def suffix_of(name: str) -> str:
    """The ending of a name, in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  (a tenth of Path's time)


def shown(name: str) -> str:
    r"""A path as text that can be printed; bytes that are not UTF-8 appear as ``\xff``."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(text)


def first_names(names: list[str], noun: str, limit: int = 5) -> str:
    """``3 files: a, b, c``; of many names only the first are listed."""
    more = f", and {len(names) - limit:,} more" if len(names) > limit else ""
    return f"{counted(len(names), noun)}: {', '.join(map(shown, names[:limit]))}{more}"


def _walk(folder: Path, prefix: str, found: FolderFiles) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every entry that is not a folder and not left out; what is refused at once is put into ``found``."""
    folders = [(folder, prefix)]
    while folders:
        path, prefix = folders.pop()
        try:
            with os.scandir(path) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            found.refused[prefix.rstrip("/") or "."] = f"the folder cannot be read ({error.strerror or error})"
            continue
        for entry in entries:
            name = prefix + entry.name
            if _is_tool_file(entry.name):
                found.refused[name] = (
                    "files of Git and DVC cannot be part of a version; "
                    "remove it, or add a copy of the folder without it"
                )
            elif _is_left_out(entry.name):
                found.left_out.append(name)
            elif entry.is_dir(follow_symlinks=False):
                folders.append((path / entry.name, f"{name}/"))
            else:
                yield name, entry


def _is_tool_file(name: str) -> bool:
    folded = name.casefold()
    return folded in TOOL_FILES or folded.endswith(".dvc")


def _is_left_out(name: str) -> bool:
    folded = name.casefold()
    return folded.startswith(".") or folded in LITTER or folded.endswith(TEMPORARY_SUFFIXES)


def _fault(name: str, entry: os.DirEntry[str], real_root: str) -> str:  # noqa: PLR0911
    """What is wrong with an entry that is not a folder; empty where nothing is."""
    if fault := fault_in(name):
        return f"{fault}; rename it"
    path = entry.path
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  (of what a link points to)
    except OSError as error:
        if entry.is_symlink():
            return f"it is a link to {shown(os.readlink(path))}, which does not exist; remove it"  # noqa: PTH115
        return f"it cannot be read ({error.strerror or error})"
    if entry.is_symlink() and (fault := _link_fault(path, mode, real_root)):
        return fault
    if not stat.S_ISREG(mode):
        return "it is not a regular file (a pipe, socket or device); remove it"
    if not os.access(path, os.R_OK):
        return "it cannot be read (permission denied); set its permissions"
    return ""


def _link_fault(path: str, mode: int, real_root: str) -> str:
    target = os.path.realpath(path)
    if stat.S_ISDIR(mode):
        if _is_within(os.path.realpath(os.path.dirname(path)), target):  # noqa: PTH120
            return "it is a link to one of its parent folders; remove it"
        return f"it is a link to the folder {shown(target)}; replace it with the folder itself"
    if not _is_within(target, real_root):
        return f"it is a link out of the folder, to {shown(target)}; replace it with the file itself"
    return ""


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _refuse_twins(found: FolderFiles) -> None:
    """Refuse files and folders whose names are one where letter case or the Unicode form does not count."""
    spelled: dict[str, str] = {}
    for name in found.files:
        for path in _with_parents(name):
            folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
            other = spelled.setdefault(folded, path)
            if other != path:
                found.refused[path] = (
                    f"it and {shown(other)} have the same name on macOS and Windows, which ignore letter case and "
                    "Unicode normalization; rename one of them"
                )
                break


def _with_parents(name: str) -> Iterator[str]:
    """A path and the folders above it, the topmost first."""
    end = name.find("/")
    while end >= 0:
        yield name[:end]
        end = name.find("/", end + 1)
    yield name
