"""Finds the images of a folder by the paths that annotation files write."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from sightline.data.annotations import Fault, FaultKind
from sightline.data.folder_files import FolderFiles, shown
from sightline.data.formats.split_names import split_named


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an annotation file.

    Attributes:
        file: Path of the file relative to the annotation folder, POSIX.
        entry: The line or entry, such as ``line 3``.
    """

    file: str
    entry: str = ""

    def fault(self, kind: FaultKind, reason: str, remedy: str, label: str | None = None) -> Fault:
        """A fault at this place."""
        return Fault(kind, self.file, None, label, reason, remedy, self.entry)


class ImageIndex:
    """The images of a folder.

    Args:
        files: The files of the folder.
    """

    def __init__(self, files: FolderFiles) -> None:
        self.images = files.images
        self._by_path = {composed(name): name for name in files.images}
        self._by_name: dict[str, list[str]] = {}
        for name in files.images:
            self._by_name.setdefault(composed(posixpath.basename(name)), []).append(name)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and composed(path) in self._by_path

    def find(self, written: str, place: Place, hints: Iterable[str] = ()) -> tuple[str | None, Fault | None]:
        """The image that a path means.

        The path is relative to the folder of the annotation file or to the whole folder.  If neither exists, the only
        image whose path ends with the written one is used, because many tools write names without folders.

        Args:
            written: The path in the annotation file; backslashes separate folders as on Windows.
            place: Where it is written.
            hints: Names of folders that are preferred if several images fit, such as ``train2017``.

        Returns:
            The path of the image relative to the folder, or None and the fault.
        """
        path = written.replace("\\", "/")
        if "\0" in written or is_absolute(written):
            what = "contains a NUL character" if "\0" in written else "is absolute"
            remedy = "write it relative to the annotation file"
            return None, place.fault("unsafe_path", f"image path {shown_path(written)} {what}", remedy)
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(place.file), path))
        for candidate in (beside, posixpath.normpath(path)):
            if found := self._by_path.get(composed(candidate)):
                return found, None
        if beside == ".." or beside.startswith("../"):
            reason = f"image path {shown_path(written)} leads outside the folder"
            remedy = "give the folder that contains both, or write the path relative to the annotation file"
            return None, place.fault("unsafe_path", reason, remedy)
        return self._by_end(path, place, hints)

    def find_moved(self, written: str) -> str | None:
        """The image that is the longest end of an absolute path, as another machine wrote it; None if there is none."""
        parts = [part for part in written.replace("\\", "/").split("/") if part not in ("", ".")]
        ends = ("/".join(parts[start:]) for start in range(len(parts)) if ".." not in parts)
        return next((found for end in ends if (found := self._by_path.get(composed(end)))), None)

    def _by_end(self, path: str, place: Place, hints: Iterable[str]) -> tuple[str | None, Fault | None]:
        end = composed(posixpath.normpath(path))
        fitting = [
            name for name in self._by_name.get(posixpath.basename(end), []) if f"/{composed(name)}".endswith(f"/{end}")
        ]
        if len(fitting) > 1 and (usual := self._by_path.get(f"images/{end}")):
            return usual, None
        if len(fitting) > 1:
            preferred = [name for name in fitting if any(hint in PurePosixPath(name).parts for hint in hints)]
            fitting = preferred if len(preferred) == 1 else fitting
        if len(fitting) == 1:
            return fitting[0], None
        if fitting:
            reason = f"several images fit {shown_path(path)}: {', '.join(map(shown, fitting[:3]))}"
            return None, place.fault("missing_image", reason, "write the path with its folders")
        near = self._similar(path)
        meant = f" (did you mean {shown(near)!r}?)" if near else ""
        reason = f"image {shown_path(path)} does not exist{meant}"
        return None, place.fault("missing_image", reason, "add the image, or correct its path")

    def _similar(self, path: str) -> str:
        """An image whose name differs only in letter case or extension; empty if there is none."""
        stem = PurePosixPath(path).stem.casefold()
        return next(
            (name for names in self._by_name.values() for name in names if PurePosixPath(name).stem.casefold() == stem),
            "",
        )


def is_absolute(path: str) -> bool:
    """Whether a path begins at the root of a POSIX or Windows file system."""
    return path.startswith(("/", "\\")) or bool(PureWindowsPath(path).drive)


def folder_hints(file: str) -> tuple[str, ...]:
    """Names of folders in which the images of an annotation file may be: words of its name that name a split.

    Example:
        >>> folder_hints("annotations/instances_train2017.json")
        ('instances_train2017', 'train2017', 'train')
    """
    stem = PurePosixPath(file).stem
    words = stem.replace("-", "_").split("_")
    names = [word for word in words if split_named(word.rstrip("0123456789"))]
    return tuple(dict.fromkeys([stem, *names, *(name.rstrip("0123456789") for name in names)]))


def shown_path(path: str) -> str:
    """A path in a message, shortened."""
    return repr(path if len(path) <= 120 else path[:117] + "...")


def composed(path: str) -> str:
    """A path in Unicode's composed form; macOS writes the decomposed one."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)
