"""One labelme file and its image: found, decoded, compared, and put together."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from sightline.config.schema import Data
from sightline.data.annotations import Fault, FaultKind, LabelledImage
from sightline.data.images import ImageFacts, UnreadableImageError, image_facts, read_bytes
from sightline.data.labelme_instances import ShapeReader, ShapesResult, count_dropped
from sightline.data.labelme_json import MAX_JSON_BYTES, LabelmeFile, parse


@dataclass
class FileReading:
    """What became of one labelme file.

    Attributes:
        file: Its path relative to the folder, POSIX.
        names: Path of the image file that it names, relative to the folder, usable or not; None where there is none.
        image: The labelled image, or None where the policy leaves it out.
        faults: Of the file first, then of its shapes.
        dropped: By kind of fault.
        ignored: Shapes with an ignored label.
        labels: Shapes of each label.
    """

    file: str
    names: str | None = None
    image: LabelledImage | None = None
    faults: list[Fault] = field(default_factory=list)
    dropped: Counter[FaultKind] = field(default_factory=Counter)
    ignored: int = 0
    labels: Counter[str] = field(default_factory=Counter)


class _ImageFaultError(Exception):
    """The image cannot be used: kind, reason and remedy of the fault."""

    def __init__(self, kind: FaultKind, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.remedy = kind, reason, remedy


@dataclass(frozen=True, slots=True)
class _FoundImage:
    path: str
    embedded: bytes | None
    facts: ImageFacts


def read_file(root: Path, file: str, data: Data, classes_known: bool) -> FileReading:
    """Read one labelme file and its image.

    Args:
        root: The folder that is read; nothing outside is opened.
        file: Path of the JSON file relative to ``root``, POSIX.
        data: Classes, ignored labels, fault policies, limits.
        classes_known: Whether labels are checked against ``data.classes``.

    Returns:
        What became of it; nothing is raised for a fault of the data.
    """
    reading = FileReading(_shown(file))
    parsed, shape_faults = _parse(root, file)
    if parsed is None:
        reading.faults = shape_faults
        count_dropped(reading.dropped, shape_faults, data)
        return reading
    reading.labels.update(parsed.labels)
    found, file_faults = None, []
    try:
        names = _locate(root, file, parsed.image_path)
        if _is_image_file(root, names):
            reading.names = names
        found = _find_image(root, file, names, parsed, data.max_pixels)
    except _ImageFaultError as error:
        file_faults.append(Fault(error.kind, file, None, None, error.reason, error.remedy))
    size = _size(parsed, found)
    file_faults += _compare_sizes(file, parsed, found)
    shapes = ShapeReader(file, data, classes_known=classes_known, size=size, draw=found is not None).read(parsed.shapes)
    reading.ignored = shapes.ignored
    reading.faults = [*file_faults, *sorted([*shape_faults, *shapes.faults], key=lambda fault: fault.shape or 0)]
    if file_faults or found is None:
        count_dropped(reading.dropped, file_faults, data)
        return reading
    reading.dropped = shapes.dropped
    for fault in shape_faults:
        count_dropped(reading.dropped, [fault], data)
    reading.image = _labelled_image(file, parsed, found, shapes, data)
    return reading


def _locate(root: Path, file: str, image_path: str) -> str:
    """Where ``imagePath`` leads, relative to ``root``; like labelme, from the JSON file's folder.

    Backslashes separate folders as they do on Windows.  Links are followed, and must stay inside.  Where the name is
    not found as it is written, it is tried in Unicode's composed and decomposed forms (macOS writes the latter).

    Raises:
        _ImageFaultError: Of kind ``unsafe_path``.
    """
    if "\0" in image_path:
        raise _unsafe(image_path, "holds a NUL character")
    if PureWindowsPath(image_path).drive or image_path.startswith(("/", "\\")):
        raise _unsafe(image_path, "is absolute")
    base = os.path.realpath(root)
    relative = image_path.replace("\\", "/")
    forms = (relative, unicodedata.normalize("NFC", relative), unicodedata.normalize("NFD", relative))
    paths = [os.path.join(base, os.path.dirname(file), form) for form in forms]  # noqa: PTH118, PTH120
    target = os.path.realpath(next((path for path in paths if os.path.isfile(path)), paths[0]))  # noqa: PTH113
    if target != base and not target.startswith(base.rstrip(os.sep) + os.sep):
        raise _unsafe(image_path, "leads outside the folder")
    try:
        os.fsencode(target).decode()
    except UnicodeDecodeError as error:
        raise _unsafe(image_path, "leads to a name that is not UTF-8") from error
    return Path(os.path.relpath(target, base)).as_posix()


def _unsafe(image_path: str, what: str) -> _ImageFaultError:
    shown = image_path if len(image_path) <= 120 else image_path[:117] + "..."
    return _ImageFaultError(
        "unsafe_path", f"imagePath {shown!r} {what}", "put the image beside the JSON file and name it there"
    )


def _shown(file: str) -> str:
    """A name as text; Python holds the bytes of a name that is not UTF-8 as halves of characters."""
    return file.encode("utf-8", "backslashreplace").decode()


def _parse(root: Path, file: str) -> tuple[LabelmeFile | None, list[Fault]]:
    if (shown := _shown(file)) != file:
        return None, [Fault("unsafe_path", shown, None, None, "the file's name is not UTF-8", "rename the file")]
    path = root / file
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        reason, remedy = "the file is a link that leads outside the folder", "replace it by the file itself"
        return None, [Fault("unsafe_path", file, None, None, reason, remedy)]
    try:
        size = path.stat().st_size if path.is_file() else -1
        if 0 <= size <= MAX_JSON_BYTES:
            return parse(path.read_bytes(), file)
        reason = f"it has {size:,} bytes, more than {MAX_JSON_BYTES:,}" if size >= 0 else "it is not a regular file"
    except OSError as error:
        reason = f"the file cannot be read ({error.strerror or error})"
    remedy = "check what it is, or remove it from the folder"
    return None, [Fault("broken_json", file, None, None, reason, remedy)]


def _find_image(root: Path, file: str, names: str, parsed: LabelmeFile, max_pixels: int) -> _FoundImage:
    """The image file where there is one, else the embedded image."""
    try:
        if _is_image_file(root, names):
            facts = image_facts(read_bytes(root / names, max_pixels), max_pixels, names)
            return _FoundImage(names, None, facts)
        if parsed.image_data is None:
            raise _missing(root, names, parsed)
        facts = image_facts(parsed.image_data, max_pixels, "imageData")
        path = PurePosixPath("images", file).with_suffix(facts.extension).as_posix()
        return _FoundImage(path, parsed.image_data, facts)
    except UnreadableImageError as error:
        name = "imageData" if error.name == "imageData" else f"image {names}"
        raise _ImageFaultError("broken_image", f"{name}: {error.reason}", error.remedy) from error


def _is_image_file(root: Path, names: str) -> bool:
    """Whether there is such a file; labelme lets ``imagePath`` name the JSON itself where the image is embedded."""
    return not names.lower().endswith(".json") and os.path.isfile(root / names)  # noqa: PTH113  (never raises)


def _missing(root: Path, names: str, parsed: LabelmeFile) -> _ImageFaultError:
    if names.lower().endswith(".json") or os.path.isdir(root / names):  # noqa: PTH112  (never raises)
        reason = f"imagePath {parsed.image_path!r} names no image, and there is no imageData"
        return _ImageFaultError("missing_image", reason, "set imagePath to the image's name")
    wanted = PurePosixPath(names)
    try:
        near = sorted(e.name for e in os.scandir(root / wanted.parent) if _same_name(e.name, wanted))
    except OSError:
        near = []
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return _ImageFaultError(
        "missing_image", f"image {names} does not exist{meant}", "add the image, or correct imagePath"
    )


def _same_name(name: str, wanted: PurePosixPath) -> bool:
    """Whether a file differs in letter case or extension only."""
    other = PurePosixPath(name)
    return other.stem.casefold() == wanted.stem.casefold() and other.suffix.casefold() != ".json"


def _size(parsed: LabelmeFile, found: _FoundImage | None) -> tuple[int, int] | None:
    if found is not None:
        return found.facts.width, found.facts.height
    return (parsed.width, parsed.height) if parsed.width and parsed.height else None


def _compare_sizes(file: str, parsed: LabelmeFile, found: _FoundImage | None) -> list[Fault]:
    if found is None:
        return []
    actual = found.facts.width, found.facts.height
    stated = parsed.width or actual[0], parsed.height or actual[1]
    if stated == actual:
        return []
    turned = ", its sides swapped: labelled without the EXIF orientation" if stated == actual[::-1] else ""
    reason = (
        f"imageWidth x imageHeight is {stated[0]} x {stated[1]}, but the image has {actual[0]} x {actual[1]} pixels"
        f"{turned}"
    )
    remedy = "check in labelme that the shapes fit the image, and save it again"
    return [Fault("wrong_image_size", file, None, None, reason, remedy)]


def _labelled_image(
    file: str, parsed: LabelmeFile, found: _FoundImage, shapes: ShapesResult, data: Data
) -> LabelledImage:
    facts = found.facts
    match = re.search(data.group_pattern, found.path) if data.group_pattern else None
    return LabelledImage(
        file=file,
        image=found.path,
        embedded=found.embedded,
        width=facts.width,
        height=facts.height,
        size_bytes=facts.size_bytes,
        sha256=facts.sha256,
        perceptual_hash=facts.perceptual_hash,
        group=parsed.group or (match and match.group(1)) or facts.sha256,
        flags=parsed.flags,
        instances=tuple(shapes.instances),
    )
