"""Reads a folder of labelme files; all faults are collected, and nothing is left out silently."""

from __future__ import annotations

import multiprocessing
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from sightline.config.data import Data, Faults
from sightline.data.annotations import Annotations, Fault, FaultKind
from sightline.data.folder_files import list_files
from sightline.data.formats.labelme.file import FileReading, read_file
from sightline.data.formats.labels import IGNORED_LABEL, difference, respelled, respelling_remedy
from sightline.errors import DataError
from sightline.logs import Progress
from sightline.plural import counted

_CHUNK = 32
"""Number of files that a process reads before it reports."""

_FEW_FILES = 256
"""Fewer files than this are read faster than processes start."""


def read_folder(root: Path, data: Data, *, classes_known: bool = True) -> Annotations:
    """Read every labelme file below a folder, with its image.

    The rule of :mod:`sightline.data.folder_files` determines the files.  With ``data.jobs`` above 1, a large folder is
    read by that many processes.

    Args:
        root: The folder; no file outside is opened.
        data: Classes, ignored labels, fault policies, limits.
        classes_known: Whether labels are checked against ``data.classes``; if not, every label is accepted.

    Returns:
        The usable images, all faults, and counts of shapes and images that the policies left out or clipped.  Shapes
        and images with a fault whose policy is ``error`` are left out too; see :func:`stopping_faults`.

    Raises:
        DataError: The folder does not exist or has no JSON file, or a process that read images was killed.
    """
    files, images = _listing(root)
    readings: list[FileReading] = []
    with Progress("read annotations", total=len(files), unit="files") as progress:
        for reading in _read_all(root, files, data, classes_known):
            readings.append(reading)
            progress.advance()
    _report_shared_images(readings, data)
    if not classes_known:
        _report_spellings(readings, data)
    return Annotations(
        images=sorted((reading.image for reading in readings if reading.image), key=lambda image: image.image),
        faults=[fault for reading in readings for fault in reading.faults],
        dropped=dict(sum((Counter[str](reading.dropped) for reading in readings), Counter[str]())),
        ignored=sum(reading.ignored for reading in readings),
        left_out=_by_class(readings),
        files=len(files),
        labels=dict(sorted(sum((reading.labels for reading in readings), Counter[str]()).items())),
        unlabelled_images=len(_unlabelled(root, images, readings)),
    )


def stopping_faults(annotations: Annotations, policies: Faults) -> list[Fault]:
    """The faults with the policy ``error``; any of them stops record."""
    return [fault for fault in annotations.faults if getattr(policies, fault.kind) == "error"]


def _listing(root: Path) -> tuple[list[str], set[str]]:
    """All JSON files, sorted, and all image files: POSIX paths relative to ``root``; see ``folder_files``."""
    found = list_files(root)
    files, images = found.annotation_files, set(found.images)
    if not files:
        held = (
            f"contains {counted(len(images), 'image')}, but no .json file"
            if images
            else "contains no images and no .json files"
        )
        what = held if any(root.iterdir()) else "is empty"
        raise DataError(f"{root} {what}; label images with labelme first, or give another folder")
    return files, images


def _read_all(root: Path, files: list[str], data: Data, classes_known: bool) -> Iterator[FileReading]:
    if data.jobs == 1 or len(files) <= _FEW_FILES:
        for file in files:
            yield read_file(root, file, data, classes_known)
        return
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    # Not fork: a forked process would inherit locks held by threads of the caller (DVC, a progress bar).
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(min(data.jobs, len(chunks)), mp_context=context) as pool:
        try:
            for readings in pool.map(partial(_read_chunk, root, data, classes_known), chunks):
                yield from readings
        except BrokenProcessPool as error:
            raise DataError(
                f"a process that read images of {root} ended before its work was done: it was killed, probably for "
                "lack of memory (lower data.max_pixels), or the calling script lacks the guard "
                "`if __name__ == '__main__':`; data.jobs=1 reads without processes"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _read_chunk(root: Path, data: Data, classes_known: bool, files: list[str]) -> list[FileReading]:
    return [read_file(root, file, data, classes_known) for file in files]


def _by_class(readings: list[FileReading]) -> dict[str, dict[str, int]]:
    counts = sum((Counter[tuple[str, FaultKind]](reading.left_out) for reading in readings), Counter())
    left_out: dict[str, dict[str, int]] = {}
    for label, kind in sorted(counts):
        left_out.setdefault(label, {})[kind] = counts[label, kind]
    return left_out


def _unlabelled(root: Path, images: set[str], readings: list[FileReading]) -> set[str]:
    """Images without a JSON file: no ``imagePath`` leads to them, not even by a link, and none has the same name."""
    named = {reading.names for reading in readings}
    without = {os.path.splitext(reading.file)[0] for reading in readings if not reading.names}  # noqa: PTH122
    base = os.path.realpath(root)
    return {
        image
        for image in images - named
        if os.path.relpath(os.path.realpath(root / image), base) not in named
        and os.path.splitext(image)[0] not in without  # noqa: PTH122
    }


def _report_spellings(readings: list[FileReading], data: Data) -> None:
    """Report labels that are probably misspelled: extra spaces, other letter case, invisible characters."""
    totals = sum((Counter[str](reading.labels) for reading in readings), Counter[str]())
    meant = respelled(totals, (IGNORED_LABEL, *data.ignored_labels))
    for reading in readings if meant else ():
        faults = [
            _spelling_fault(reading.file, index, label, meant[label])
            for index, label in reading.places
            if label in meant
        ]
        reading.faults = sorted(
            [*reading.faults, *faults], key=lambda fault: -1 if fault.shape is None else fault.shape
        )


def _spelling_fault(file: str, shape: int, label: str, meant: str) -> Fault:
    reason = f"the label differs from {meant!r} by {difference(label, meant)}"
    return Fault("unknown_label", file, shape, label, reason, respelling_remedy(meant))


def _report_shared_images(readings: list[FileReading], data: Data) -> None:
    """Report two JSON files for one image, or for two images whose names differ only in letter case."""
    by_name: dict[tuple[bool, str], list[tuple[FileReading, str]]] = {}
    for reading in readings:
        embedded = reading.image is not None and reading.image.embedded is not None
        name = reading.image.image if reading.image else reading.names
        if name:
            key = embedded, unicodedata.normalize("NFC", name).casefold()
            by_name.setdefault(key, []).append((reading, name))
    for sharing in by_name.values():
        for reading, name in sharing if len(sharing) > 1 else ():
            other, other_name = next(pair for pair in sharing if pair[0] is not reading)
            if other_name == name:
                reason = f"image {name} is also named by {other.file}"
                remedy = "keep one JSON file for each image"
            else:
                reason = f"image {name} and {other_name} of {other.file} differ only in letter case"
                remedy = "rename one of the images, so that the dataset can be checked out on every system"
            reading.faults.insert(0, Fault("duplicate_image", reading.file, None, None, reason, remedy))
            if reading.image is not None:
                if data.faults.duplicate_image == "drop":
                    reading.dropped = Counter({"duplicate_image": 1})
                    reading.left_out.update((one.label, "duplicate_image") for one in reading.image.instances)
                else:
                    reading.dropped.clear()
                reading.image = None
