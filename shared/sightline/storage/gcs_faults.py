"""Converts errors of Google Storage, its credentials and the network to errors with a next step."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator

import requests
import urllib3.exceptions
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import InvalidResponse

from sightline.errors import StorageError

UNREACHABLE = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    auth.TransportError,
    ConnectionError,
)
"""Exceptions for a missing or incomplete response."""

FAULTS = (GoogleAPICallError, RetryError, InvalidResponse, auth.GoogleAuthError, *UNREACHABLE)

_AGAIN = "no partial object was left behind: run the same command again"
_HINTS = {
    401: (
        "the credentials are wrong or expired: run gcloud auth application-default login again, or set "
        "GOOGLE_APPLICATION_CREDENTIALS to a valid key file"
    ),
    403: "give the account the role Storage Object User on this bucket, or choose another with storage.uri",
    404: "check storage.uri, or create the bucket",
    408: _AGAIN,
    429: f"too many requests at once: lower SIGHTLINE_GCS_JOBS; {_AGAIN}",
}


@contextlib.contextmanager
def explained_by_google(action: str, uri: str) -> Iterator[None]:
    """Convert exceptions of the service to :class:`~sightline.errors.StorageError`.

    The original exception is not chained: it may contain the address of an upload session, with which anyone could
    write.

    Args:
        action: The attempted action, in the infinitive.
        uri: URI of the object.
    """
    try:
        yield
    except FAULTS as error:
        raise StorageError(f"cannot {action} {uri}: {_reason(error)}") from None


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of an error, if it has one."""
    if isinstance(error, RetryError):
        return status_of(error.cause)
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return int(error.code) if isinstance(error, GoogleAPICallError) and error.code is not None else None


def said_by_service(error: BaseException) -> str:
    """The message of the service, without the URL of the request."""
    response = getattr(error, "response", None)
    try:
        return str(response.json()["error"]["message"])  # type: ignore[union-attr]
    except (AttributeError, KeyError, TypeError, ValueError):
        return str(getattr(response, "reason", "") or "no reason given")


def _reason(error: Exception) -> str:
    if isinstance(error, auth.DefaultCredentialsError):
        return (
            f"there are no usable Google credentials ({_first(error)}); "
            "on a laptop run gcloud auth application-default login, in a cluster use workload identity, "
            "or set GOOGLE_APPLICATION_CREDENTIALS to a key file"
        )
    if isinstance(error, auth.GoogleAuthError) and not isinstance(error, auth.TransportError):
        return f"Google refuses the credentials ({_first(error)}); {_HINTS[401]}"
    waited = isinstance(error, RetryError)
    cause = error.cause if isinstance(error, RetryError) and error.cause else error
    status = status_of(cause)
    if status is None:
        return (
            f"Google Storage cannot be reached ({_innermost(cause)}); check the network, the proxy and "
            f"STORAGE_EMULATOR_HOST; {_AGAIN}"
        )
    said = said_by_service(cause)
    if "requester pays" in said.lower() or "userProject" in said:
        return f"{status}, {said}; set SIGHTLINE_GCS_USER_PROJECT to the project to bill"
    tried = ", after retrying for twice SIGHTLINE_GCS_TIMEOUT_SECONDS" if waited else ""
    hint = _HINTS.get(status, _AGAIN if waited else "see the message for the cause")
    return f"{status}, {said}{tried}; {hint}"


def _first(error: Exception) -> str:
    """The first line of google-auth's message; the following lines may quote a response with tokens."""
    return str(error.args[0] if error.args else type(error).__name__).partition("\n")[0]


def _innermost(error: BaseException) -> str:
    """The innermost cause, such as ``Connection refused``; outer exceptions contain addresses."""
    while below := error.__cause__ or error.__context__ or _wrapped(error):
        error = below
    return f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__


def _wrapped(error: BaseException) -> BaseException | None:
    inner = error.args[-1] if error.args else None
    return inner if isinstance(inner, BaseException) else None
