"""Checks the DVC remote of a data repository before anything is created, so that an accepted address works."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from sightline.data.dvc.configuration import ROOMS, address_fault
from sightline.data.dvc.remote import is_foreign, open_remote
from sightline.errors import RepositoryError, StorageError
from sightline.storage import open_storage
from sightline.storage.uris import BACK_ENDS, path_of

_EXPECTED = "expected a path, file:///path or gs://bucket/prefix"


def remote_base(uri: str) -> str:
    """Parent location of both remotes as stored in ``.dvc/config``: an absolute path, or a ``gs://`` URI.

    Raises:
        RepositoryError: No storage back end supports it, or DVC would read another address.
    """
    base = uri
    fault = _fault_as_given(uri)
    if not fault:
        try:
            storage = open_storage(uri)
        except StorageError as error:
            raise RepositoryError(f"DVC remote {uri!r} cannot be used: {_by_option(error)}") from error
        base = str(path_of(storage.uri)) if storage.uri.startswith("file:") else storage.uri
        fault = next(filter(None, (address_fault(f"{base}/{room}") for room in ROOMS)), "")
    if fault:
        raise RepositoryError(f"DVC remote {base!r} cannot be used: {fault}; {_EXPECTED}")
    return base


def require_disjoint(base: str, repository: Path) -> None:
    """Reject a remote inside the repository, and a repository inside a remote.

    Raises:
        RepositoryError: One contains the other.
    """
    if "://" in base:
        return
    top = repository.resolve()
    for room in ROOMS:
        remote = (Path(base) / room).resolve()
        if remote.is_relative_to(top) or top.is_relative_to(remote):
            raise RepositoryError(
                f"the DVC remote {base} and the data repository {repository} would overlap (the files would be stored "
                f"in {remote}); nothing was created: choose a --remote outside the repository"
            )


def require_writable(base: str) -> None:
    """Write an object to the remote, read it and remove it.

    Raises:
        RepositoryError: One of these operations fails.
    """
    key = f"sightline-data-init-{secrets.token_hex(8)}"
    try:
        storage = open_storage(base)
        storage.write_bytes(key, b"", if_generation=0)
        storage.read_bytes(key)
        storage.delete(key)
    except StorageError as error:
        raise RepositoryError(
            f"DVC remote {base} must be readable and writable; nothing was created: {_by_option(error)}"
        ) from error


def _by_option(error: StorageError) -> str:
    """The message of a storage error, with the option of the remote instead of the setting of the result bucket."""
    return str(error).replace("storage.uri", "--remote")


def require_same(path: Path, base: str) -> None:
    """Reject a remote that differs from the one of an existing data repository.

    Raises:
        RepositoryError: The remote differs.
    """
    config = path / ".dvc" / "config"
    url = open_remote(config.read_text(encoding="utf-8"), "annotations", str(path)).url
    present = remote_base(url.rpartition("/")[0])
    if present != base:
        raise RepositoryError(
            f"{path} is already a data repository with its remotes below {present}, not {base}; "
            f"use --remote {shlex.quote(present)}, or choose another folder"
        )


def _fault_as_given(uri: str) -> str:
    """The fault of an address, found before its storage back end is known; empty if there is none."""
    if fault := address_fault(uri):
        return fault
    try:
        scheme = urlsplit(uri).scheme
    except ValueError as error:
        return f"it cannot be read as a URI ({error})"
    faults = {
        f"the scheme {scheme}: is not supported": is_foreign(uri),
        "it begins with a space": scheme and uri[0].isspace(),
        f"it begins with {scheme}: instead of {scheme}://": scheme in BACK_ENDS
        and not uri.lower().startswith(f"{scheme}://"),
        "it contains a question mark, and DVC ignores what follows": scheme == "gs" and "?" in uri,
    }
    return next((fault for fault, found in faults.items() if found), "")
