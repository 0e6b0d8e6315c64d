"""DVC remotes, read directly if a storage back end supports them, otherwise through DVC."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sightline.data.dvc.configuration import is_true, read_remotes
from sightline.data.dvc.manifest import Manifest, parse_manifest
from sightline.data.dvc.objects import DamagedObjectError, file_crc32c, file_md5, object_key, object_md5
from sightline.errors import ObjectNotFoundError, RepositoryError, StorageError
from sightline.storage import Storage, open_storage
from sightline.storage.transfer import in_pool
from sightline.storage.uris import BACK_ENDS, path_of
from sightline.temporary_folder import temporary_folder


class Remote(ABC):
    """Objects pushed by DVC, named by their MD5.

    Attributes:
        name: Name of the remote in ``.dvc/config``: the kind of data that it stores.
        url: Its address.
    """

    name: str
    url: str

    def read(self, md5: str, what: str) -> bytes:
        """The verified contents of a small object.

        Raises:
            DamagedObjectError: The contents do not match the MD5.
            RepositoryError: It is missing, or the remote cannot be read.
        """
        place = f"{self.url}/{object_key(md5)}"
        try:
            data = self._read(md5)
        except FileNotFoundError as error:
            raise RepositoryError(
                f"{what} is missing on the DVC remote ({place}); push it again with dvc push"
            ) from error
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5.removesuffix(".dir"):
            raise DamagedObjectError(
                f"{what} is damaged on the DVC remote ({place}); remove that object and push it again"
            )
        return data

    def manifest(self, md5: str, what: str) -> Manifest:
        """The manifest of a folder."""
        what = f"the list of the files of {what}"
        return parse_manifest(self.read(md5, what), what)

    @abstractmethod
    def missing(self, objects: Collection[str]) -> set[str]:
        """The objects that are missing on the remote."""

    @abstractmethod
    def forget(self, md5: str) -> None:
        """Remove an object, if it exists."""

    def faults(self, files: Mapping[str, Path]) -> dict[str, str]:
        """The faults, ``missing`` or ``damaged``, of objects that were created from ``files``.

        Args:
            files: MD5 of an object -> the file that it was created from.
        """
        return dict.fromkeys(self.missing(files.keys()), "missing")

    def damaged(self, objects: Collection[str]) -> set[str]:  # noqa: ARG002
        """The objects that exist but have wrong contents, as far as this can be detected by reading them here."""
        return set()

    @abstractmethod
    def _read(self, md5: str) -> bytes:
        """The contents of an object without verification.

        Raises:
            FileNotFoundError: There is no such object.
        """


class BucketRemote(Remote):
    """A remote that a storage back end supports: a folder, or Google Storage.

    It is opened on first use: with a complete cache, neither Google's libraries nor credentials are needed.

    Args:
        name: See :class:`Remote`.
        url: See :class:`Remote`.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url

    @cached_property
    def storage(self) -> Storage:
        """The storage of the remote.

        Raises:
            RepositoryError: The address is not supported, or the storage cannot be opened.
        """
        with self._explained():
            return open_storage(self.url)

    def missing(self, objects: Collection[str]) -> set[str]:
        """See :meth:`Remote.missing`; lists the names of objects, page by page."""
        with self._explained():
            return {object_md5(key) for key in self.storage.missing(object_key(md5) for md5 in objects)}

    def forget(self, md5: str) -> None:
        """See :meth:`Remote.forget`."""
        with self._explained():
            self.storage.delete(object_key(md5))

    def faults(self, files: Mapping[str, Path]) -> dict[str, str]:
        """See :meth:`Remote.faults`; if the listing contains checksums, they are compared.

        A folder has no checksums: they would require reading every object of every version in it, so only sizes are
        compared.
        """
        if self.storage.uri.startswith("file:"):
            return self._file_faults(files)
        wanted: dict[str, list[str]] = defaultdict(list)
        for md5 in files:
            wanted[object_key(md5).rpartition("/")[0]].append(md5)

        def compare(folder: str) -> dict[str, str]:
            listed = {info.key: info.crc32c for info in self.storage.list(f"{folder}/")}
            found = {md5: listed.get(object_key(md5)) for md5 in wanted[folder]}
            return {
                md5: "missing" if crc32c is None else "damaged"
                for md5, crc32c in found.items()
                if crc32c is None or crc32c != file_crc32c(files[md5])
            }

        with self._explained():
            return {md5: fault for found in in_pool(compare, wanted, self.storage.jobs) for md5, fault in found.items()}

    def damaged(self, objects: Collection[str]) -> set[str]:
        """See :meth:`Remote.damaged`; objects in a folder are read, a bucket verifies its own objects."""
        if not self.storage.uri.startswith("file:"):
            return set()
        found = in_pool(lambda md5: (md5, self._reads_as(md5)), objects, self.storage.jobs)
        return {md5 for md5, right in found if not right}

    def _reads_as(self, md5: str) -> bool:
        """Whether the contents of an object in a folder match its MD5; True if it does not exist."""
        try:
            return file_md5(self._path(md5)) == md5.removesuffix(".dir")
        except FileNotFoundError:
            return True
        except OSError as error:
            raise RepositoryError(f"the DVC remote {self.name!r} cannot be read: {error}") from error

    def _file_faults(self, files: Mapping[str, Path]) -> dict[str, str]:
        faults = {}
        for md5, file in files.items():
            path = self._path(md5)
            if not path.is_file():
                faults[md5] = "missing"
            elif path.stat().st_size != file.stat().st_size:
                faults[md5] = "damaged"
        return faults

    def _path(self, md5: str) -> Path:
        return path_of(self.storage.uri) / object_key(md5)

    def _read(self, md5: str) -> bytes:
        with self._explained():
            return self.storage.read_bytes(object_key(md5))[0]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Convert storage errors to errors about the data repository."""
        try:
            yield
        except ObjectNotFoundError:
            raise
        except StorageError as error:
            raise RepositoryError(f"the DVC remote {self.name!r} cannot be used: {error}") from error


class ForeignRemote(Remote):
    """A remote that only DVC can read: S3, ssh, http and others.

    Args:
        name: See :class:`Remote`.
        url: See :class:`Remote`.
        config_text: The ``.dvc/config``; DVC adds the settings of the user and of the system, such as credentials.
    """

    def __init__(self, name: str, url: str, config_text: str) -> None:
        self.name, self.url, self._config_text = name, url, config_text

    def missing(self, objects: Collection[str]) -> set[str]:
        """See :meth:`Remote.missing`."""
        files, root = self._files
        ordered = list(objects)
        there = files.exists([files.join(root, object_key(md5)) for md5 in ordered])
        return {md5 for md5, present in zip(ordered, there, strict=True) if not present}

    def forget(self, md5: str) -> None:
        """See :meth:`Remote.forget`."""
        files, root = self._files
        path = files.join(root, object_key(md5))
        if files.exists(path):
            files.remove(path)

    def _read(self, md5: str) -> bytes:
        files, root = self._files
        return bytes(files.cat_file(files.join(root, object_key(md5))))

    @cached_property
    def _files(self) -> tuple[Any, str]:
        """DVC's file system for this remote, and the remote's path there."""
        from dvc.config import Config
        from dvc.exceptions import DvcException
        from dvc.fs import get_cloud_fs

        with temporary_folder("remote") as folder:
            (Path(folder) / "config").write_text(self._config_text, encoding="utf-8")
            try:
                kind, settings, path = get_cloud_fs(Config(dvc_dir=folder), name=self.name)
                return kind(**settings), path
            except DvcException as error:
                raise RepositoryError(f"the DVC remote {self.name} ({self.url}) cannot be used: {error}") from error


def open_remote(config_text: str, name: str, where: str) -> Remote:
    """The remote ``name`` of a ``.dvc/config``.

    Raises:
        RepositoryError: There is no remote with this name, or it is of an unsupported kind.
    """
    settings = read_remotes(config_text, f"the .dvc/config of {where}").get(name, {})
    if not settings.get("url"):
        raise RepositoryError(
            f"{where} is not a data repository of Sightline: its .dvc/config has no remote {name!r}; "
            "add it with sightline data init PATH --remote URI, where PATH is this repository or a clone of it"
        )
    url = settings["url"]
    for layout in ("version_aware", "worktree"):
        if is_true(settings.get(layout)):
            raise RepositoryError(
                f"the DVC remote {name!r} of {where} is {layout}: it stores files under their own names, so their "
                "contents cannot be verified; use a remote that names objects by their MD5 "
                f"(dvc remote modify --unset {name} {layout}, and push the data again)"
            )
    if not is_foreign(url) and "://" not in url and not Path(url).expanduser().is_absolute():
        raise RepositoryError(
            f"the DVC remote {name!r} of {where} is the relative path {url}, which is a different folder in every "
            f"clone; set an absolute one: dvc remote modify {name} url PATH"
        )
    return ForeignRemote(name, url, config_text) if is_foreign(url) else BucketRemote(name, url)


def is_foreign(url: str) -> bool:
    """Whether no storage back end supports ``url``, so that only DVC can read it."""
    scheme = urlsplit(url).scheme
    return len(scheme) > 1 and scheme not in BACK_ENDS
