"""Which keys of the result bucket a document names, whoever wrote it."""

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
"""By the name of the object; all others are champion pointers."""

_ROOMS = re.compile(r"(?:^|(?<=/))(?=(?:results|evaluation)/)")


def named_keys(document: Any) -> Iterator[str]:  # noqa: ANN401  (any JSON)
    """The key behind every string that is a key or a URI of an object or folder of the result bucket.

    The bucket's own URI is not asked for: a volume may be mounted elsewhere where the document was written.  A path
    that can be read in two ways names both.
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
    """Whether ``named`` holds the object's key, or that of a folder in which it lies."""
    parts = key.split("/")
    return any("/".join(parts[:length]) in named for length in range(1, len(parts) + 1))


def read_document(storage: Storage, key: str) -> Any:  # noqa: ANN401
    """A JSON document that may name objects; None where it is gone.

    Raises:
        StepError: It cannot be read, or a later Sightline wrote it, so that what it names is unknown.
    """
    try:
        document = strict_json.decode(storage.read_bytes(key)[0])
        _KINDS.get(key.rpartition("/")[2], CHAMPION).refuse_newer(document)
        return document
    except DocumentError as error:
        raise StepError(
            f"{storage.uri_of(key)} cannot be read ({error}), so what it needs is unknown; nothing is removed: "
            f"{error.remedy('restore the document')}"
        ) from error
    except ObjectNotFoundError:
        return None
    except ValueError as error:
        raise StepError(
            f"{storage.uri_of(key)} is not JSON ({error}), so what it needs is unknown; nothing is removed: restore "
            "the document, or delete it and the files next to it"
        ) from error
