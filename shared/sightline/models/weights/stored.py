"""Published weights in a folder of this machine (the cache) or in a bucket (the mirror), in one layout.

``<name>.safetensors`` has the tensors with the publisher's names, and their origin in the header; ``<name>.json``,
which is written last, has the digest of that file.  Every copy is verified against it before it is used.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sightline.documents import DocumentError, DocumentKind
from sightline.errors import (
    DamagedObjectError,
    ModelFileError,
    ObjectNotFoundError,
    StepError,
    StorageError,
)
from sightline.files import file_sha256, write_atomically
from sightline.lock import exclusive_lock
from sightline.models.model_file import write_tensors
from sightline.models.weights.sources import Download, download
from sightline.storage import Storage, open_storage

METADATA_KEY = "sightline-weights"
LOCK_SECONDS = 3600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where published weights come from, in the header of the file.

    Attributes:
        name: Their name.
        source: URL of the publisher's file.
        source_sha256: SHA-256 of the publisher's file.
        classes: Class names of labels 1, 2, ...; empty if they are not for classes of objects.
    """

    name: str
    source: str
    source_sha256: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """The entry of one file, beside it.

    Attributes:
        name: Name of the weights.
        sha256: SHA-256 of the ``.safetensors`` file.
        size_bytes: Its size.
        source: URL of the publisher's file.
        source_sha256: SHA-256 of the publisher's file.
    """

    name: str
    sha256: str
    size_bytes: int
    source: str
    source_sha256: str


ORIGIN = DocumentKind("origin of weights", Origin)
STORED = DocumentKind("entry of published weights", Stored)


def file_name(name: str, ending: str) -> str:
    """The name of a file for published weights, relative to the cache or mirror.

    Example:
        >>> file_name("timm:convnext_tiny.fb_in1k", ".json")
        'timm/convnext_tiny.fb_in1k.json'
    """
    return name.replace(":", "/") + ending


def origin_of(metadata: Mapping[str, str], path: Path) -> Origin | None:
    """The origin in the header of a file; None if it was not written here.

    Raises:
        ModelFileError: It cannot be read.
    """
    if METADATA_KEY not in metadata:
        return None
    try:
        return ORIGIN.decode(metadata[METADATA_KEY])
    except DocumentError as error:
        raise ModelFileError(
            f"{path}: cannot read the header ({error}); {error.remedy('fetch the file again')}"
        ) from error


def cached_weights(name: str, cache: Path, mirror: str = "") -> Path:
    """The file with published weights; it is fetched unless the cache has it, and verified.

    Args:
        name: From :func:`~sightline.models.weights.sources.full_name`.
        cache: Folder of the cache; created if it does not exist.
        mirror: URI of a mirror; if it is given, the publisher is never asked.  Empty: download from the publisher.

    Raises:
        StepError: The weights cannot be fetched.
        ModelFileError: They are damaged.
        StorageError: The mirror cannot be read.
    """
    path, entry = cache / file_name(name, ".safetensors"), cache / file_name(name, ".json")
    with exclusive_lock(cache / ".locks" / file_name(name, ""), LOCK_SECONDS):
        if _is_whole(path, entry):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in (path, *path.parent.glob(f".{path.stem}.*part")):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        if mirror:
            _log.info("fetching the weights %s from %s", name, mirror)
            _copy_from(open_storage(mirror), name, path, entry)
        else:
            _log.info("downloading the weights %s", name)
            _download(name, path, entry)
    return path


def read_entry(mirror: Storage, name: str) -> Stored | None:
    """The entry of weights in a mirror; None if there is none.

    Raises:
        StorageError: It cannot be read.
    """
    key = file_name(name, ".json")
    try:
        return STORED.decode(mirror.read_bytes(key)[0])
    except ObjectNotFoundError:
        return None
    except (DamagedObjectError, DocumentError) as error:
        remedy = f"remove it, and run sightline model mirror {name} {mirror.uri}"
        if isinstance(error, DocumentError):
            remedy = error.remedy(remedy)
        raise StorageError(f"{mirror.uri_of(key)} cannot be read ({error}); {remedy}") from error


def fill_mirror(name: str, cache: Path, mirror: Storage) -> bool:
    """Put published weights into a mirror; a mirror that has them already is left as it is.

    Returns:
        Whether they were added or replaced.

    Raises:
        StepError: The weights cannot be downloaded.
        StorageError: The mirror cannot be read or written.
    """
    present = read_entry(mirror, name)
    key = file_name(name, ".safetensors")
    if present is not None:
        info = mirror.stat(key)
        if info is not None and info.size == present.size_bytes:
            return False
    path = cached_weights(name, cache)
    mirror.upload(path, key)
    mirror.write_bytes(file_name(name, ".json"), (cache / file_name(name, ".json")).read_bytes())
    return True


def _is_whole(path: Path, entry: Path) -> bool:
    """Whether the cache has the weights; a damaged file counts as missing."""
    if not path.is_file() or not entry.is_file():
        return False
    try:
        if STORED.decode(entry.read_bytes()).sha256 == file_sha256(path):
            return True
    except (OSError, DocumentError) as error:
        _log.warning("%s cannot be read (%s); the weights are fetched again", entry, error)
        return False
    _log.warning("%s is damaged; the weights are fetched again", path)
    return False


def _download(name: str, path: Path, entry: Path) -> None:
    scratch = path.with_name(f".{path.name}.part")
    scratch.mkdir()
    try:
        store(path, entry, name, download(name, scratch))
    except OSError as error:
        raise StepError(
            f"model.weights: {name} cannot be downloaded ({_one_line(error)}); without internet, do one of these: fill "
            f"a mirror on a machine with internet (sightline model mirror {name} gs://bucket/weights) and set "
            "model.weights_mirror to it; set model.weights to the path or URI of a file; or set model.weights=none to "
            "start from random weights"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def store(path: Path, entry: Path, name: str, found: Download) -> None:
    """Write downloaded weights and their entry.

    Args:
        path: The ``.safetensors`` file.
        entry: The entry beside it.
        name: Name of the weights.
        found: The weights.

    Raises:
        ModelFileError or StepError: They cannot be written.
    """
    origin = Origin(name, found.source, found.sha256, found.classes)
    whole = {key: tensor.clone().contiguous() for key, tensor in found.tensors.items()}  # some share their memory
    write_tensors(path, whole, {METADATA_KEY: json.dumps(ORIGIN.encode(origin), sort_keys=True)})
    stored = Stored(name, file_sha256(path), path.stat().st_size, found.source, found.sha256)
    write_atomically(entry, json.dumps(STORED.encode(stored), indent=1))


def _copy_from(mirror: Storage, name: str, path: Path, entry: Path) -> None:
    stored = read_entry(mirror, name)
    if stored is None:
        raise StepError(
            f"model.weights_mirror: {mirror.uri} does not have the weights {name}; add them on a machine with "
            f"internet: sightline model mirror {name} {mirror.uri}"
        )
    mirror.download(file_name(name, ".safetensors"), path)
    found = file_sha256(path)
    if found != stored.sha256:
        path.unlink()
        raise ModelFileError(
            f"{mirror.uri_of(file_name(name, '.safetensors'))} is damaged: its SHA-256 is {found}, expected "
            f"{stored.sha256}; remove it, and run sightline model mirror {name} {mirror.uri}"
        )
    write_atomically(entry, json.dumps(STORED.encode(stored), indent=1))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
