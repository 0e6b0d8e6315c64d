"""Recognizes the format of a folder of annotations by its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sightline import strict_json
from sightline.data.folder_files import FolderFiles, first_names, list_files, suffix_of
from sightline.data.formats.coco_files import is_coco
from sightline.data.formats.csv_file import table_files
from sightline.data.formats.yolo_layout import CLASSES_FILE, describing_file, label_file
from sightline.errors import DataError
from sightline.plural import counted

_SAMPLED = 64
"""JSON files that are opened to tell labelme's from COCO's; more are assumed to be alike."""

_MAX_BYTES = 64 * 1024**2
"""A larger JSON file is not labelme's without being opened."""


def recognized(root: Path) -> str:
    """The name of the format of a folder.

    Returns:
        One of :data:`sightline.config.data.FORMAT_NAMES`.

    Raises:
        DataError: The files are of none of the formats, or of several.
    """
    files = list_files(root)
    found = dict(_formats(root, files))
    if len(found) == 1:
        return next(iter(found))
    if found:
        listed = "; ".join(f"{name} ({what})" for name, what in found.items())
        first = next(iter(found))
        raise DataError(
            f"{root} has annotations of several formats: {listed}; name the right one with --set data.format={first}, "
            "or remove the other files"
        )
    if files.annotation_files:
        return "labelme"  # whose reader says what is wrong with each file
    raise DataError(_nothing(root, files))


def _nothing(root: Path, files: FolderFiles) -> str:
    images = len(files.images)
    held = f"contains {counted(images, 'image')}, but no annotations" if images else "contains no images"
    what = held if any(root.iterdir()) else "is empty"
    return (
        f"{root} {what}; label images with labelme first, or give a folder with labelme or COCO files (.json), YOLO "
        "label files (.txt), a CSV file or a folder for each class; --set data.format=... names the format"
    )


def _formats(root: Path, files: FolderFiles) -> Iterator[tuple[str, str]]:
    """Each format of which there are files, and what was found."""
    labelme, coco = _json_files(root, files)
    if labelme:
        yield "labelme", first_names(labelme, "JSON file", limit=2)
    if coco:
        yield "coco", first_names(coco, "JSON file", limit=2)
    texts = {name for name in files.files if suffix_of(name) == ".txt"}
    pairs = [image for image in files.images if label_file(image) in texts]
    described = describing_file(root, files)
    if pairs or (described and texts):
        said = [described] if described else [name for name in sorted(texts) if name.endswith(CLASSES_FILE)]
        yield "yolo", ", ".join([*said[:1], first_names([label_file(image) for image in pairs], "label file", limit=2)])
    tables = [name for name in table_files(files) if "/" not in name]
    if tables:
        yield "csv", first_names(tables, "CSV file", limit=2)
    folders = sorted({image.rpartition("/")[0] for image in files.images} - {""})
    if folders and not (labelme or coco or pairs or tables):
        yield "folders", first_names(folders, "folder with images", limit=2)


def _json_files(root: Path, files: FolderFiles) -> tuple[list[str], list[str]]:
    """The files that look like labelme's and like COCO's; JSON files of other programs are neither."""
    names = [name for name in files.annotation_files if name not in files.refused]
    stems = {image.rpartition(".")[0] for image in files.images}
    beside = [name for name in names if name.rpartition(".")[0] in stems]
    others = [name for name in names if name.rpartition(".")[0] not in stems]
    coco = [name for name in others[:_SAMPLED] if is_coco(root / name)]
    labelme = [name for name in others[:_SAMPLED] if name not in coco and _is_labelme(root / name)]
    if not (beside or labelme or coco):  # broken annotations are not those of another program
        coco = [name for name in others[:_SAMPLED] if not _is_json(root / name)]
    return [*beside, *labelme], coco


def _is_json(path: Path) -> bool:
    try:
        strict_json.decode(path.read_bytes(), finite=False)
    except (OSError, strict_json.JsonError):
        return False
    return True


def _is_labelme(path: Path) -> bool:
    try:
        return path.stat().st_size <= _MAX_BYTES and b'"shapes"' in path.read_bytes()
    except OSError:
        return False
