"""The review of a folder of suggestions: its decisions, and the dataset that results from them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline import strict_json
from sightline.data.folder_files import FolderFiles, list_files
from sightline.data.formats.labelme.document import MAX_JSON_BYTES
from sightline.data.suggestions.decisions import DecidedFile, Decision, decide_file
from sightline.data.suggestions.kept import ReviewSummary
from sightline.data.suggestions.record import ACCEPT, KEY, Document, SuggestionRecord, record_of
from sightline.data.tools.new_folder import copy_file
from sightline.errors import DataError


@dataclass(frozen=True, slots=True)
class Review:
    """The decisions of a folder.

    Attributes:
        folder: The folder.
        base: The annotation tag that the folder is based on.
        model: SHA-256 of the model that made the suggestions.
        whole: Whether the folder holds all images of the base.
        files: File -> the file after its decisions.
        new: Files of images that are not part of the base.
        undecided: Those about which nothing was decided; they are not part of the result.
    """

    folder: FolderFiles
    base: str
    model: str
    whole: bool
    files: dict[str, DecidedFile] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    def decisions(self) -> Iterator[tuple[str, Decision]]:
        """Every decision with its file."""
        for file, decided in self.files.items():
            for decision in decided.decisions:
                yield file, decision

    @property
    def summary(self) -> ReviewSummary:
        """The numbers, for the version that results from the review."""
        counts: dict[str, dict[str, int]] = {}
        for _, one in self.decisions():
            kinds = counts.setdefault(one.status, {})
            kinds[one.suggestion.kind] = kinds.get(one.suggestion.kind, 0) + 1
        return ReviewSummary(self.base, self.model, counts, len(self.undecided))


def read_review(root: Path) -> Review | None:
    """Read the decisions of a folder that ``sightline data suggest`` wrote; None for any other folder.

    Raises:
        DataError: The folder does not exist, suggestions cannot be read, or they are based on several tags.
    """
    folder = list_files(root)
    found: dict[str, tuple[Document, SuggestionRecord]] = {}
    broken = []
    for file in folder.annotation_files:
        content = (root / file).read_bytes() if (root / file).is_file() else b""
        if f'"{KEY}"'.encode() in content or ACCEPT.encode() in content:
            document = _decoded(content)
            record = record_of(document, file) if document is not None else None
            if document is None:
                broken.append(file)
            elif record is not None:
                found[file] = document, record
    if not found:
        return None
    if broken:
        raise DataError(
            f"{root} has suggestions, but {', '.join(broken[:3])} cannot be read as labelme files; restore them, or "
            "remove them to keep their labels as they are"
        )
    origins = sorted({(record.base, record.model, record.whole) for _, record in found.values()})
    if len(origins) > 1:
        listed = ", ".join(f"of model {model[:12]} for {base}" for base, model, _ in origins)
        raise DataError(f"{root} has suggestions {listed}; add the files of each call of data suggest separately")
    review = Review(folder, *origins[0])
    for file, (document, record) in found.items():
        decided = decide_file(document, record, file)
        if record.new:
            review.new.append(file)
            review.undecided.extend([] if decided.is_decided else [file])
        review.files[file] = decided
    return review


def write_reviewed(review: Review, base: Path | None, out: Path) -> None:
    """Write the dataset that results from a review.

    Files of the base whose labels did not change keep their bytes; others embed their image only if they did before.

    Args:
        review: The decisions.
        base: The folder of the base, of which the folder holds a part; None: the folder is the whole dataset.
        out: The folder to write, which exists; large files are linked instead of copied where that is possible.

    Raises:
        DataError: A file was moved or renamed, so that the base would keep its labels beside it.
    """
    if base is not None:
        for file in sorted(review.files.keys() - review.new):
            if not (base / file).is_file():
                raise DataError(
                    f"{review.folder.root / file}: {review.base} has no file {file}, so it is not known whose labels "
                    "these are; give files with suggestions their names and places back"
                )
        for name in list_files(base).files:
            _place(base / name, out / name)
    skipped = {*review.files, *(_image_of(file, review) for file in review.undecided)}
    for name in review.folder.files:
        if name not in skipped:
            (out / name).unlink(missing_ok=True)
            _place(review.folder.root / name, out / name)
    for file, decided in review.files.items():
        before = None if base is None else _read(base / file)
        if file in review.undecided or (before is not None and _labels(before) == _labels(decided.document)):
            continue
        # Depending on its settings, labelme embeds the image when it saves a file.
        document = decided.document | {"imageData": None if before is None else before.get("imageData")}
        target = out / file
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, ensure_ascii=False, indent=2)
        target.write_text(text, encoding="utf-8")


def _image_of(file: str, review: Review) -> str:
    """The image of a file, relative to the folder."""
    named = str(review.files[file].document.get("imagePath") or "").replace("\\", "/")
    return os.path.normpath(os.path.join(os.path.dirname(file), named))  # noqa: PTH118, PTH120


def _read(path: Path) -> Document | None:
    return _decoded(path.read_bytes()) if path.is_file() else None


def _labels(document: Document) -> Document:
    shapes = [
        {key: value for key, value in shape.items() if value not in (None, "", {})} for shape in document["shapes"]
    ]
    flags = sorted(name for name, value in (document.get("flags") or {}).items() if value)
    return {"shapes": shapes, "flags": flags}


def _decoded(content: bytes) -> Document | None:
    """A labelme file as JSON values; None for anything else, which the check of the folder reports."""
    try:
        document: Any = strict_json.decode(content, max_bytes=MAX_JSON_BYTES, finite=False)
    except strict_json.JsonError:
        return None
    shapes = document.get("shapes") if isinstance(document, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        return None
    return dict(document)


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=True)
    except OSError:  # another file system
        copy_file(source, target)
