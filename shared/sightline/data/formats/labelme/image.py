"""The image of a labelme file: the file given by ``imagePath``, or the one embedded as ``imageData``."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from sightline.data.annotations import Fault, FaultKind
from sightline.data.formats.labelme.document import LabelmeFile
from sightline.data.formats.labelme.embedded import EmbeddedImage, disagreement, read_embedded
from sightline.data.images import ImageFacts, UnreadableImageError, image_facts, read_bytes


@dataclass(frozen=True, slots=True)
class FoundImage:
    """The image that the shapes were drawn on.

    Attributes:
        path: Relative to the folder, POSIX; for an embedded image, the path that record gives it.
        embedded: Its bytes if it is embedded.
        facts: Facts about the image.
    """

    path: str
    embedded: bytes | None
    facts: ImageFacts


class _ImageFaultError(Exception):
    """The image cannot be used: kind, reason and remedy of the fault."""

    def __init__(self, kind: FaultKind, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.remedy = kind, reason, remedy

    def of(self, file: str) -> Fault:
        return Fault(self.kind, file, None, None, self.reason, self.remedy)


def find_image(
    root: Path, file: str, parsed: LabelmeFile, max_pixels: int
) -> tuple[FoundImage | None, str | None, list[Fault]]:
    """Find the image of one labelme file: like labelme, prefer the embedded one.

    If both show the same picture, the file is used, so that the image need not be stored twice.

    Args:
        root: The annotation folder; no file outside is opened.
        file: Path of the JSON file relative to ``root``, POSIX.
        parsed: The contents of the JSON file.
        max_pixels: Images with more pixels are rejected.

    Returns:
        The image, or None if there is no usable one; the path of the image file in ``imagePath``, usable or not,
        relative to ``root``, or None; the faults.
    """
    names: str | None = None
    try:
        try:
            names = _locate(root, file, parsed.image_path)
        except _ImageFaultError:
            # labelme also opens a file with an embedded image regardless of its imagePath.
            if parsed.image_data is None:
                raise
        existing = names if names is not None and _is_image_file(root, names) else None
        if parsed.image_data is not None:
            found, reason = _embedded_image(root, file, existing, parsed.image_data, max_pixels)
            return found, existing, [_differs(file, reason)] if reason else []
        if existing is None:
            raise _missing(root, file, names or "", parsed)
        return FoundImage(existing, None, _facts(root, existing, max_pixels)), existing, []
    except UnreadableImageError as error:
        name = "imageData" if error.name == "imageData" else f"image {names}"
        fault = Fault("broken_image", file, None, None, f"{name}: {error.reason}", error.remedy)
        return None, existing, [fault]
    except _ImageFaultError as error:
        return None, None, [error.of(file)]


def _embedded_image(
    root: Path, file: str, names: str | None, image_data: bytes, max_pixels: int
) -> tuple[FoundImage, str | None]:
    """The embedded image, or the file of the same picture; and how the two differ."""
    image = read_embedded(image_data, max_pixels)
    found = FoundImage(_extracted_path(file, image), image.content, image.facts)
    if names is None:
        return found, None
    try:
        facts = _facts(root, names, max_pixels)
    except UnreadableImageError as error:
        return found, f"image {names} cannot be used: {error.reason}"
    reason = disagreement(image, facts, names)
    return (FoundImage(names, None, facts), None) if reason is None else (found, reason)


def _extracted_path(file: str, image: EmbeddedImage) -> str:
    return PurePosixPath("images", file).with_suffix(image.facts.extension).as_posix()


def _facts(root: Path, names: str, max_pixels: int) -> ImageFacts:
    return image_facts(read_bytes(root / names, max_pixels), max_pixels, names)


def _differs(file: str, reason: str) -> Fault:
    remedy = (
        "the shapes were drawn on imageData, which is used (data.faults.embedded_differs=embedded); set imageData to "
        "null if they fit the file"
    )
    return Fault("embedded_differs", file, None, None, reason, remedy)


def _locate(root: Path, file: str, image_path: str) -> str:
    """The target of ``imagePath`` relative to ``root``; like in labelme, it is relative to the JSON file's folder.

    Backslashes separate folders as on Windows.  Links are followed, and must stay inside.  If the exact name does not
    exist, its Unicode composed and decomposed forms are tried (macOS writes the latter).

    Raises:
        _ImageFaultError: Of kind ``unsafe_path``.
    """
    relative = image_path.replace("\\", "/")
    base = os.path.realpath(root)
    folder = os.path.join(base, os.path.dirname(file))  # noqa: PTH118, PTH120
    beside = relative.rpartition("/")[2]
    if "\0" in image_path:
        raise _unsafe(image_path, "contains a NUL character", "open the file in labelme and save it again")
    if PureWindowsPath(image_path).drive or image_path.startswith(("/", "\\")):
        raise _unsafe(image_path, "is absolute", _name_it(folder, beside))
    forms = (relative, unicodedata.normalize("NFC", relative), unicodedata.normalize("NFD", relative))
    paths = [os.path.join(folder, form) for form in forms]  # noqa: PTH118
    path = next((path for path in paths if os.path.isfile(path)), paths[0])  # noqa: PTH113
    target = os.path.realpath(path)
    if not is_inside(base, target):
        raise _unsafe(image_path, "leads outside the folder", _outside_remedy(base, folder, path, beside))
    try:
        os.fsencode(target).decode()
    except UnicodeDecodeError as error:
        raise _unsafe(image_path, "leads to a name that is not UTF-8", "rename the image") from error
    return Path(os.path.relpath(target, base)).as_posix()


def is_inside(base: str, path: str) -> bool:
    """Whether a resolved path is a resolved folder, or below it."""
    return path == base or path.startswith(base.rstrip(os.sep) + os.sep)


def _outside_remedy(base: str, folder: str, path: str, beside: str) -> str:
    """How to fix a path outside the folder; the existence of the image is checked without opening it."""
    written = os.path.normpath(path)
    if is_inside(base, written):
        return "it is a link: replace it with the image itself"
    common = os.path.commonpath([base, written])
    if os.path.isfile(path) and common != os.sep:  # noqa: PTH113
        return f"give the folder that contains both, {common}"
    return _name_it(folder, beside)


def _name_it(folder: str, beside: str) -> str:
    if beside and os.path.isfile(os.path.join(folder, beside)):  # noqa: PTH113, PTH118
        return f"set imagePath to {beside!r}, which is next to the JSON file"
    return "put the image next to the JSON file and set imagePath to its name"


def _unsafe(image_path: str, what: str, remedy: str) -> _ImageFaultError:
    shown = image_path if len(image_path) <= 120 else image_path[:117] + "..."
    return _ImageFaultError("unsafe_path", f"imagePath {shown!r} {what}", remedy)


def _is_image_file(root: Path, names: str) -> bool:
    """Whether the image file exists; in labelme, ``imagePath`` may be the JSON file if the image is embedded."""
    return not names.lower().endswith(".json") and os.path.isfile(root / names)  # noqa: PTH113  (never raises)


def _missing(root: Path, file: str, names: str, parsed: LabelmeFile) -> _ImageFaultError:
    if names.lower().endswith(".json") or os.path.isdir(root / names):  # noqa: PTH112  (never raises)
        reason = f"imagePath {parsed.image_path!r} is not the name of an image, and there is no imageData"
        return _ImageFaultError("missing_image", reason, "set imagePath to the image's name")
    wanted = PurePosixPath(names)
    try:
        near = sorted(e.name for e in os.scandir(root / wanted.parent) if _same_name(e.name, wanted))
    except OSError:
        near = []
    if near:
        meant = f" (did you mean {near[0]!r}?)"
    else:
        beside = PurePosixPath(file).parent / wanted.name
        meant = f" (did you mean {beside.name!r} next to the JSON file?)" if _is_image_file(root, str(beside)) else ""
    return _ImageFaultError(
        "missing_image", f"image {names} does not exist{meant}", "add the image, or correct imagePath"
    )


def _same_name(name: str, wanted: PurePosixPath) -> bool:
    """Whether a file name differs only in letter case or extension."""
    other = PurePosixPath(name)
    return other.stem.casefold() == wanted.stem.casefold() and other.suffix.casefold() != ".json"
