"""DVC's file formats: the ``.dvc`` file in Git, and objects named by their MD5.

A folder is one object ``<md5>.dir``: a JSON list of every file's MD5 and relative path.  Both are read here without
DVC, because reading one small file must not require a pull.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import google_crc32c

from sightline import strict_yaml
from sightline.data.dvc.manifest import Manifest
from sightline.errors import RepositoryError
from sightline.logs import Progress

BLOCK_BYTES = 1 << 20
BATCH_FILES = 64

Result = TypeVar("Result")

_FILE_MD5 = re.compile("[0-9a-f]{32}")
_FOLDER_MD5 = re.compile(r"[0-9a-f]{32}\.dir")


class DamagedObjectError(RepositoryError):
    """The contents of an object do not match its name."""


@dataclass(frozen=True, slots=True)
class TrackedFolder:
    """The entry of a folder in a ``.dvc`` file.

    Attributes:
        md5: MD5 of the list of files, with the suffix ``.dir``.
        size_bytes: Total size of all files.
        files: Number of files.
    """

    md5: str
    size_bytes: int
    files: int


def read_dvc_file(text: str, where: str) -> TrackedFolder:
    """Parse a ``.dvc`` file that tracks one folder.

    Raises:
        RepositoryError: The text has another format.
    """
    try:
        document = strict_yaml.decode(text)
    except strict_yaml.YamlError as error:
        raise RepositoryError(f"{where} is not valid YAML: {error}; add the data again") from error
    outs = document.get("outs") if isinstance(document, dict) else None
    if not isinstance(outs, list) or len(outs) != 1 or not isinstance(outs[0], dict):
        raise RepositoryError(f"{where} must have one entry under 'outs', a folder; add the data again")
    md5, size, files = (outs[0].get(key) for key in ("md5", "size", "nfiles"))
    if isinstance(md5, str) and _FILE_MD5.fullmatch(md5):
        raise RepositoryError(f"{where} tracks a single file, expected a folder; add the data again")
    if not isinstance(md5, str) or not _FOLDER_MD5.fullmatch(md5):
        raise RepositoryError(f"{where}: md5 must be 32 hexadecimal digits and .dir; add the data again")
    if type(size) is not int or type(files) is not int or size < 0 or files < 0:
        raise RepositoryError(f"{where}: size and nfiles must be whole numbers, 0 or more; add the data again")
    return TrackedFolder(md5, size, files)


def object_key(md5: str) -> str:
    """The path of an object relative to a cache or remote, in DVC's layout."""
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def object_md5(key: str) -> str:
    """The MD5 of the object with the key ``key``; the inverse of :func:`object_key`."""
    return "".join(key.split("/")[-2:])


def file_md5(path: Path) -> str:
    """MD5 of a file, which is also DVC's name for its object."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def file_crc32c(path: Path) -> str:
    """CRC-32C of a file in the format of Google Storage: big-endian, base64."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            checksum = google_crc32c.extend(checksum, block)
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


def hash_files(folder: Path, names: Iterable[str], jobs: int, doing: str) -> Manifest:
    """MD5 of the files ``names`` below ``folder``; missing files are left out."""
    present = [name for name in names if (folder / PurePosixPath(name)).is_file()]
    return dict(for_each_file(lambda name: file_md5(folder / PurePosixPath(name)), present, jobs, doing))


def for_each_file(
    work: Callable[[str], Result], names: Sequence[str], jobs: int, doing: str
) -> Iterator[tuple[str, Result]]:
    """The result of ``work`` for each file, in the order of the names.

    Threads take files in batches: most files are small, and the queue must not grow with their number.

    Args:
        work: Called with one name, in a thread.
        names: The names of all files.
        jobs: Number of threads.
        doing: Title of the progress.
    """
    batches = (names[start : start + BATCH_FILES] for start in range(0, len(names), BATCH_FILES))
    with (
        ThreadPoolExecutor(max_workers=jobs) as pool,
        Progress(doing, total=len(names), unit="files") as progress,
    ):
        for done in pool.map(lambda batch: [(name, work(name)) for name in batch], batches):
            progress.advance(len(done))
            yield from done
