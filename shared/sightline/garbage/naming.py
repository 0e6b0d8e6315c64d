"""Finds the keys of the result bucket that a document refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from sightline import strict_json
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import ObjectNotFoundError, StepError
from sightline.registry.champions import CHAMPION
from sightline.registry.results import PUBLICATION
from sightline.registry.selected_models import CURRENT_MODEL, SELECTED_MODEL
from sightline.storage import Storage

_KINDS: dict[str, DocumentKind[Any]] = {
    "result.json": PUBLICATION,
    "manifest.json": SELECTED_MODEL,
    "CURRENT.json": CURRENT_MODEL,
}
"""By object name; all other documents are champion pointers, or entries of their history, which have the same form."""

_ROOMS = re.compile(r"(?:^|(?<=/))(?=(?:results|evaluation)/)")


def named_keys(document: Any) -> Iterator[str]:  # noqa: ANN401  (any JSON)
    """Yield the key for every string that is a key or URI of an object or folder in the result bucket.

    The bucket's URI is not compared: a volume may have been mounted elsewhere when the document was written.  An
    ambiguous path yields both keys.
    """
    if isinstance(document, str):
        path = unquote(document)
        yield from (path[match.start() :].rstrip("/") for match in _ROOMS.finditer(path))
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from named_keys(key)
            yield from named_keys(value)
    elif isinstance(document, list):
        for value in document:
            yield from named_keys(value)


def is_named(key: str, named: set[str]) -> bool:
    """Whether ``named`` contains the object's key, or the key of a folder that contains it."""
    parts = key.split("/")
    return any("/".join(parts[:length]) in named for length in range(1, len(parts) + 1))


def read_document(storage: Storage, key: str) -> Any:  # noqa: ANN401
    """A JSON document that may refer to objects; None if it does not exist.

    Raises:
        StepError: It cannot be read, or was written by a later release, so that its references are unknown.
    """
    try:
        document = strict_json.decode(storage.read_bytes(key)[0])
        _KINDS.get(key.rpartition("/")[2], CHAMPION).refuse_newer(document)
        return document
    except DocumentError as error:
        raise StepError(
            f"{storage.uri_of(key)} cannot be read ({error}), so it is unknown which files it needs; nothing was "
            f"removed: {error.remedy('restore the document')}"
        ) from error
    except ObjectNotFoundError:
        return None
    except ValueError as error:
        raise StepError(
            f"{storage.uri_of(key)} is not JSON ({error}), so it is unknown which files it needs; nothing was removed: "
            "restore the document, or delete it and the files next to it"
        ) from error
