"""The rule that decides which files of a folder belong to a dataset.

``sightline check`` reads, ``sightline data add`` stores and ``record`` reads the files that
:func:`list_files` returns.  The rule:

* **Accepted**: every regular file, whatever its name or extension, and every link to a regular file of the same folder
  (the version contains a copy of its target).  Extensions are case-insensitive.
* **Left out**, and reported: names that begin with a dot (``.DS_Store``, ``._a.json``), litter of operating systems
  (``Thumbs.db``, ``__MACOSX``), and temporary files and backups (``*.tmp``, ``*.part``, ``*.swp``, ``*.bak``, ``*~``).
  An annotation that refers to an image that is left out is a fault.  Empty folders contain nothing to store.
* **Rejected**, by name, with nothing stored: links to folders, broken links and links to files outside the folder,
  pipes, sockets and devices, unreadable files, names that some systems do not support (not UTF-8, control characters,
  backslashes, too long), names that are identical on macOS or Windows, and files of DVC or Git, which would affect the
  data repository.
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
"""Names, in lower case, of files that operating systems leave behind in folders."""

TEMPORARY_SUFFIXES = (".tmp", ".part", ".swp", ".bak", "~")

TOOL_FILES = frozenset(
    {".git", ".gitignore", ".gitattributes", ".gitmodules", ".dvc", ".dvcignore", "dvc.yaml", "dvc.lock"}
)
"""Names, in lower case, that Git or DVC would interpret, or that make a folder a repository."""

FOREIGN_IMAGE_SUFFIXES = frozenset({
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".eps", ".ico", ".pbm", ".pgm", ".ppm", ".tga",
    ".exr", ".hdr", ".dcm", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
})  # fmt: skip
"""Extensions of image formats that Sightline does not read."""

ANNOTATION_SUFFIXES = frozenset({".json", ".csv", ".tsv", ".txt", ".yaml", ".yml"})
"""Extensions of annotation files."""

SHOWN_NAMES = 20


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The files below a folder, classified by :mod:`the rule <sightline.data.folder_files>`.

    Attributes:
        root: The folder.
        files: Relative POSIX paths of accepted files, sorted.
        left_out: Relative POSIX paths that are left out, sorted; a folder represents all files in it.
        refused: Relative POSIX path -> the fault and how to fix it.
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
        """The files with the extension of a supported image format."""
        return [name for name in self.files if suffix_of(name) in IMAGE_SUFFIXES]

    @property
    def foreign_images(self) -> list[str]:
        """The files with the extension of an image format that Sightline does not read."""
        return [name for name in self.files if suffix_of(name) in FOREIGN_IMAGE_SUFFIXES]

    def require_accepted(self) -> None:
        """Reject the folder if it contains rejected files.

        Raises:
            DataError: There are rejected files; the message lists them.
        """
        if not self.refused:
            return
        lines = [f"  {shown(name)}: {reason}" for name, reason in list(self.refused.items())[:SHOWN_NAMES]]
        more = len(self.refused) - SHOWN_NAMES
        lines += [f"  and {more} more"] if more > 0 else []
        count = counted(len(self.refused), "entry", "entries")
        raise DataError("\n".join([f"{self.root}: {count} cannot be part of a version; nothing was stored", *lines]))


def list_files(root: Path) -> FolderFiles:
    """List the files below ``root``.  Only names are read; links to folders are not followed.

    Raises:
        DataError: ``root`` is not a folder.
    """
    if not root.is_dir():
        raise DataError(
            f"{root} is not a folder; give the folder with images and their annotations, such as labelme's JSON files"
        )
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
    """The extension of a name, in lower case, including the dot."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  (a tenth of Path's time)


def shown(name: str) -> str:
    r"""A path as text that can be printed; bytes that are not UTF-8 appear as ``\xff``."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(text)


def first_names(names: list[str], noun: str, limit: int = 5) -> str:
    """``3 files: a, b, c``; of a long list only the first names are shown."""
    more = f", and {len(names) - limit:,} more" if len(names) > limit else ""
    return f"{counted(len(names), noun)}: {', '.join(map(shown, names[:limit]))}{more}"


def _walk(folder: Path, prefix: str, found: FolderFiles) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every entry that is not a folder and not left out; some faults are put directly into ``found``."""
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
    """The fault of an entry that is not a folder; empty if there is none."""
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
    """Reject files and folders whose names are identical if letter case and Unicode normalization are ignored."""
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
    """A path and its parent folders, topmost first."""
    end = name.find("/")
    while end >= 0:
        yield name[:end]
        end = name.find("/", end + 1)
    yield name
