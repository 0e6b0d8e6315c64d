"""Selects the storage back end for a URI."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sightline.errors import StorageError
from sightline.extras import installation_command
from sightline.names import NameTable, unknown_name
from sightline.storage.base import Storage
from sightline.url_secrets import redact

BACK_ENDS = NameTable(
    "storage scheme",
    {
        "file": "sightline.storage.local:LocalStorage",
        "gs": "sightline.storage.gcs:GoogleStorage",
    },
)
"""Classes with a method ``from_uri(uri)``."""

_EXTRAS = {"gs": "gcs"}
"""Scheme -> the extra that installs the dependencies of its back end."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def open_storage(uri: str) -> Storage:
    """The result bucket at ``uri``.  Nothing is created before the first write.

    Args:
        uri: ``gs://bucket/prefix``, ``file:///absolute/path`` or a plain path.

    Raises:
        StorageError: No back end supports the scheme, or the URI cannot be a bucket.
    """
    require_known(uri)
    scheme = _scheme(uri)
    try:
        back_end = BACK_ENDS.load(scheme)
    except ModuleNotFoundError as error:
        raise StorageError(
            f"{uri} needs the package {error.name}, which is not installed; {installation_command(_EXTRAS[scheme])}"
        ) from error
    storage = back_end.from_uri(uri)
    assert isinstance(storage, Storage)  # noqa: S101
    return storage


def require_known(uri: str) -> None:
    """Reject a URI that no back end supports, without importing the library of a back end.

    Raises:
        StorageError: No back end supports the scheme.
    """
    scheme = _scheme(uri)
    if scheme not in BACK_ENDS:
        known = f"{', '.join(f'{name}://' for name in BACK_ENDS)} and plain paths"
        raise StorageError(f"storage URI {redact(uri)!r}: {unknown_name(BACK_ENDS.noun, scheme, (), known)}")


def open_uri(uri: str) -> tuple[Storage, str]:
    """The storage that contains an object, and the object's key in it.

    Args:
        uri: The full URI of an object, as returned by :meth:`Storage.uri_of`, or the path of a file.

    Raises:
        StorageError: The URI does not refer to an object.
    """
    location = str(path_of(uri)) if _scheme(uri) == "file" else uri
    folder, _, name = location.rpartition("/")
    if not name or (_scheme(location) != "file" and folder.endswith(":/")):
        raise StorageError(
            f"{redact(uri)!r} is not the address of an object; expected a file's path or a URI such as file:///bucket/model"
        )
    return open_storage(folder or "/"), name


def fetch(uri: str, folder: Path) -> Path:
    """Download the object at ``uri`` to ``folder`` under its own name, verified against its checksum.

    Args:
        uri: The full URI of an object, or the path of a file.
        folder: Created if it does not exist.

    Returns:
        The path of the copy.

    Raises:
        ObjectNotFoundError: There is no such object.
        StorageError: It could not be read, or ``folder`` is not writable.
    """
    storage, key = open_uri(uri)
    path = folder / key
    storage.download(key, path)
    return path


def path_of(uri: str) -> Path:
    """The absolute path of a ``file://`` URI or a plain path.

    Raises:
        StorageError: The URI is empty, or refers to another machine.
    """
    if not _SCHEME.match(uri):
        if not uri.strip():
            raise StorageError("the storage URI is empty; give a path, or file:///absolute/path")
        try:
            return Path(uri).expanduser().absolute()
        except RuntimeError as error:
            user = uri.partition("/")[0]
            raise StorageError(
                f"storage URI {uri!r}: there is no user {user.removeprefix('~')!r} with a home folder; "
                f"write ./{user} for a folder of that name"
            ) from error
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"} or not parts.path or parts.query or parts.fragment:
        raise StorageError(
            f"storage URI {redact(uri)!r} is not a local path; expected file:///absolute/path with three slashes, "
            "and # and ? written as %23 and %3F"
        )
    return Path(unquote(parts.path, errors="surrogateescape"))


def _scheme(uri: str) -> str:
    match = _SCHEME.match(uri)
    return match[1].lower() if match else "file"
