"""Turns exceptions of ``kubernetes`` and ``urllib3`` into errors that a user can act on.

Each says what is wrong, at which address, and what to do.  None contains a token, cookie or password, even if the
server repeats it.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from kubernetes.client.exceptions import ApiException
from urllib3 import exceptions

from sightline import strict_json
from sightline.errors import (
    ConfigurationError,
    KubeflowError,
    NotAuthorisedError,
    NotThereError,
    SightlineError,
    TakenError,
    UnreachableError,
)
from sightline.kubeflow.client.login_page import asks_to_sign_in, leads_to_sign_in
from sightline.url_secrets import redact

_SHOWN = 600
_PAGE_BYTES = 200_000
_PROXY = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or proxy-url of the kubeconfig"
_BUSY = {429: "too many requests", 502: "it is not ready", 503: "it is not ready", 504: "it took too long"}


@dataclass(frozen=True)
class Place:
    """The description of a server in messages.

    Attributes:
        title: Name, such as ``the Kubeflow Pipelines API``.
        url: Its address, without a trailing slash.
        remedy: What to do if it does not answer or rejects a request: the options and variables with its address.
        authority: Where the CA to verify it is set.
        proxy: The proxy in front of it; empty: none.
    """

    title: str
    url: str
    remedy: str
    authority: str = "--ca-file or KFP_CA_FILE"
    proxy: str = ""

    def __str__(self) -> str:
        return f"{self.title} at {redact(self.url)}"


def unreachable(place: Place, error: Exception, secrets: Iterable[str] = ()) -> SightlineError:
    """The error for a request without a response, or with an incomplete one.

    Args:
        place: The server of the request.
        error: The exception of urllib3 or of the HTTP library below it.
        secrets: Texts that must not be shown.
    """
    inner = list(_chain(error))
    text = hide(_reason(inner), secrets)
    if any(isinstance(one, exceptions.ProxySchemeUnknown) for one in inner):
        return ConfigurationError(
            f"proxy {redact(place.proxy)} for {place} is not supported; expected http://... or https://...; {_PROXY}"
        )
    if any(isinstance(one, exceptions.LocationValueError) for one in inner):
        return ConfigurationError(f"{redact(place.url)} is not the URL of a server ({text}); {place.remedy}")
    if any(isinstance(one, exceptions.ProxyError) for one in inner) or "Tunnel connection failed" in text:
        status = text.rpartition("Tunnel connection failed: ")[2]
        return UnreachableError(f"proxy {redact(place.proxy)} does not connect to {place}: {status}; {_PROXY}")
    if any(isinstance(one, ssl.SSLError) for one in inner):
        return UnreachableError(
            f"no secure connection to {place}: {text}; check the address, and the certificates in {place.authority}"
        )
    return UnreachableError(f"{place.title} does not answer at {redact(place.url)}: {text}; {place.remedy}")


def broken_off(place: Place, error: Exception) -> SightlineError:
    """The error for a response that ends prematurely."""
    return UnreachableError(
        f"{place} did not finish its response ({_reason(list(_chain(error)))}); run the command again"
    )


def refused(place: Place, asked: str, error: ApiException, secrets: Iterable[str] = ()) -> SightlineError:
    """The error for a response that is not a success.

    Args:
        place: The server that rejected the request.
        asked: Method and path of the request.
        error: The exception of the client.
        secrets: Texts that must not be shown.
    """
    status, said = int(error.status), _said(error.body or b"", secrets)
    if status < 400:
        return _redirected(place, asked, str((error.headers or {}).get("Location", "")))
    if status == 401 or "Unauthenticated" in said:
        return NotAuthorisedError(
            f"{place} rejected the credentials ({status}: {said}); they are missing, wrong or expired; {place.remedy}"
        )
    if status == 403 and "quota" not in said:
        return NotAuthorisedError(
            f"{place} does not allow this ({status}: {said}); ask for the permission, or set your own namespace with "
            "--namespace"
        )
    if status == 407:
        return UnreachableError(
            f"proxy {redact(place.proxy)} in front of {place} requires a user name and a password; {_PROXY}"
        )
    kind = {404: NotThereError, 409: TakenError}.get(status, KubeflowError)
    later = f"; {_BUSY[status]}: try again later" if status in _BUSY else ""
    return kind(f"{place} refused {asked} ({status}): {said}{later}")


def web_page(place: Place, page: bytes) -> SightlineError:
    """The error for an HTML response: a login page has status 200, as does the dashboard at a wrong address."""
    if asks_to_sign_in(page[:_PAGE_BYTES].decode(errors="replace")):
        return NotAuthorisedError(
            f"{redact(place.url)} answered with a login page instead of {place.title}; the session has expired, or "
            f"there is none; {place.remedy}"
        )
    return KubeflowError(
        f"{redact(place.url)} answered with a web page instead of {place.title}; the address may lack its path, such "
        f"as /pipeline; {place.remedy}"
    )


def hide(text: str, secrets: Iterable[str]) -> str:
    """``text`` without the secrets: complete headers, tokens without their type, cookie values without their names."""
    for secret in secrets:
        for part in (secret, secret.partition(" ")[2], *(one.partition("=")[2] for one in secret.split("; "))):
            text = text.replace(part, "***") if len(part) > 3 else text
    return redact(text)


def secrets_of(headers: Mapping[str, str] | None) -> list[str]:
    """The values of the headers that contain credentials."""
    return [value for name, value in (headers or {}).items() if name.lower() in {"authorization", "cookie"}]


def _redirected(place: Place, asked: str, location: str) -> SightlineError:
    target = urljoin(place.url, location)
    if leads_to_sign_in(target) or urlsplit(target).hostname != urlsplit(place.url).hostname:
        return NotAuthorisedError(
            f"{redact(place.url)} redirects {asked} to another address, probably a login page; the session has "
            f"expired, or there is none; {place.remedy}"
        )
    return KubeflowError(
        f"{redact(place.url)} redirects {asked} to {redact(target).partition('?')[0]}, where credentials are not sent; "
        f"use that address; {place.remedy}"
    )


def _said(body: bytes, secrets: Iterable[str]) -> str:
    """The message in the body of an error response, on one line; half a secret would not be known as one."""
    try:
        document = strict_json.decode(body)
    except strict_json.JsonError:
        document = {}
    text = ""
    if isinstance(document, dict):
        text = str(document.get("message") or document.get("error") or document.get("error_message") or "")
    if not text:
        text = body[:_PAGE_BYTES].decode(errors="replace")
        text = "a web page" if "<html" in text.lower() else text
    text = hide(" ".join(text.split()), secrets) or "no message"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    """An exception and its causes, outermost first."""
    while error is not None:
        yield error
        cause = getattr(error, "reason", None) or getattr(error, "original_error", None)
        arguments = [one for one in error.args if isinstance(one, BaseException)]
        if isinstance(cause, BaseException):
            error = cause
        else:
            error = arguments[0] if arguments else error.__cause__ or error.__context__


def _reason(chain: list[BaseException]) -> str:
    """Why there was no response, as described by the innermost error that has a description."""
    for one in reversed(chain):
        for kinds, words in _REASONS:
            if isinstance(one, kinds) and (text := words(one)):
                return text
    return str(chain[-1]) or type(chain[-1]).__name__


_REASONS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (ssl.SSLCertVerificationError, lambda error: error.verify_message.rstrip(".")),
    (ssl.SSLError, lambda error: str(error.reason or error).lower().replace("_", " ")),
    ((socket.gaierror, exceptions.NameResolutionError), lambda _: "no such host"),
    ((TimeoutError, exceptions.ReadTimeoutError), lambda _: "it took too long"),
    ((http.client.IncompleteRead, exceptions.InvalidChunkLength), lambda _: "the connection was closed"),
    (OSError, lambda error: (error.strerror or "").lower()),
)
