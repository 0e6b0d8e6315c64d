"""What DVC keeps: the ``.dvc`` file in git, the manifest of a folder, and the objects on a remote.

A folder is one object ``<md5>.dir``: a JSON list of every file's MD5 and relative path.  Files are objects named by
their own MD5.  Both are read here without DVC, because reading one small file must not take a pull.
"""

from __future__ import annotations

import configparser
import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from sightline import strict_yaml
from sightline.data.manifest import Manifest, parse_manifest
from sightline.errors import RepositoryError
from sightline.logs import Progress

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TrackedFolder:
    """What a ``.dvc`` file says of a folder.

    Attributes:
        md5: Name of the manifest's object, with ``.dir`` at its end.
        size_bytes: Of all files together.
        files: How many.
    """

    md5: str
    size_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """DVC's objects below a folder: a cache, or a remote that is a folder."""

    root: Path

    def path_of(self, md5: str) -> Path:
        """Where the object lies."""
        return self.root / "files" / "md5" / md5[:2] / md5[2:]

    def read(self, md5: str, what: str) -> bytes:
        """The contents of a small object, checked against its name.

        Raises:
            RepositoryError: It is missing or damaged.
        """
        path = self.path_of(md5)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise RepositoryError(
                f"{what} is missing on the DVC remote ({path}); push it again with dvc push"
            ) from error
        except OSError as error:
            raise RepositoryError(f"{what} cannot be read: {error.strerror} ({path})") from error
        if _md5(data) != md5.removesuffix(".dir"):
            raise RepositoryError(f"{what} is damaged on the DVC remote ({path}); remove that file and push it again")
        return data

    def manifest(self, md5: str, what: str) -> Manifest:
        """The manifest of a folder."""
        what = f"the list of the files of {what}"
        return parse_manifest(self.read(md5, what), what)

    def missing(self, manifest: Manifest) -> list[str]:
        """The files whose objects are not there."""
        return sorted(name for name, md5 in manifest.items() if not self.path_of(md5).is_file())

    def damaged(self, manifest: Manifest) -> list[str]:
        """The files whose objects are missing or do not have the contents that their name promises."""
        return sorted(
            name
            for name, md5 in manifest.items()
            if not self.path_of(md5).is_file() or file_md5(self.path_of(md5)) != md5
        )


def read_dvc_file(text: str, where: str) -> TrackedFolder:
    """Decode a ``.dvc`` file that tracks one folder.

    Raises:
        RepositoryError: It is something else.
    """
    try:
        (out,) = strict_yaml.decode(text)["outs"]
        folder = TrackedFolder(str(out["md5"]), int(out["size"]), int(out["nfiles"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RepositoryError(f"{where} is not the .dvc file of a folder; add the data again: {error}") from error
    if not folder.md5.endswith(".dir"):
        raise RepositoryError(f"{where} tracks a single file, expected a folder; add the data again")
    return folder


def open_remote(config_text: str, name: str, where: str) -> ObjectStore:
    """The remote ``name`` of a ``.dvc/config``.

    Raises:
        RepositoryError: There is none of that name, or it is of a kind that cannot be used.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(config_text)
        url = parser[f"'remote \"{name}\"'"]["url"]
    except (configparser.Error, KeyError) as error:
        raise RepositoryError(
            f"{where} is not a data repository of Sightline: its .dvc/config has no remote {name!r}; "
            "make one with: sightline data init PATH --remote URI"
        ) from error
    return ObjectStore(remote_path(url))


def remote_path(uri: str) -> Path:
    """The folder that a remote's URI names.

    Raises:
        RepositoryError: Neither a path nor ``file://``.
    """
    parts = urlsplit(uri)
    if len(parts.scheme) > 1 and (parts.scheme != "file" or parts.netloc not in {"", "localhost"}):
        raise RepositoryError(
            f"DVC remote {uri!r} cannot be used: known are a path and file:///path (gs:// will follow); "
            "choose one of these"
        )
    path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(uri)
    return path.expanduser().absolute()


def file_md5(path: Path) -> str:
    """MD5 of a file, as DVC names its object."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_files(folder: Path, names: Iterable[str], jobs: int, doing: str) -> Manifest:
    """MD5 of the files ``names`` below ``folder``; those that are not there are left out."""
    paths = {name: folder / PurePosixPath(name) for name in names}
    present = {name: path for name, path in paths.items() if path.is_file()}
    with (
        ThreadPoolExecutor(max_workers=jobs) as pool,
        Progress(doing, total=len(present), unit="files") as progress,
    ):
        return dict(zip(present, progress.track(pool.map(file_md5, present.values())), strict=True))


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
