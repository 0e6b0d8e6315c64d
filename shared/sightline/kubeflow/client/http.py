"""One server with a REST interface: requests, credentials, and errors that a person can act on."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import urllib3

from sightline import strict_json
from sightline.errors import (
    KubeflowError,
    NotAuthorisedError,
    NotThereError,
    SightlineError,
    TakenError,
    UnreachableError,
)
from sightline.kubeflow.client.login_page import asks_to_sign_in, leads_to_sign_in
from sightline.url_secrets import redact

Document = dict[str, Any]
Headers = Callable[[], Mapping[str, str]]

TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 5.0
_ERROR_TEXT = 600
_PAGE_BYTES = 200_000


def no_headers() -> Mapping[str, str]:
    """Credentials of a server that asks for none."""
    return {}


@dataclass(frozen=True)
class Server:
    """Where a REST interface is, and who asks.

    Attributes:
        title: How messages call it.
        url: Its address, without a slash at the end.
        remedy: What to do when it does not answer or refuses: the options and variables that say where it is.
        headers: Makes the headers that prove who asks, again for every request, because tokens expire.
        tls: Certificates to trust and to show; None: those of the system.
        connections: Kept open for the next request.
    """

    title: str
    url: str
    remedy: str
    headers: Headers = field(default=no_headers, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    connections: urllib3.PoolManager = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        manager = urllib3.PoolManager(ssl_context=self.tls, maxsize=8)
        object.__setattr__(self, "connections", manager)

    def get(self, path: str, **query: str) -> Document:
        """A document; see :meth:`request`."""
        return self.request("GET", path, query)

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Document | None = None,
        upload: tuple[str, bytes] | None = None,
    ) -> Document:
        """Send one request and decode the answer.

        Args:
            method: GET, POST, ...
            path: Below the server's address, with a slash in front.
            query: What stands behind the question mark; empty values are left out.
            body: Sent as JSON.
            upload: Name and content of a file to send as a form.

        Raises:
            KubeflowError: One of its kinds; the text says what to do.
        """
        options: dict[str, Any] = {}
        if upload:
            options["fields"] = {"uploadfile": upload}
        elif body is not None:
            options["body"] = json.dumps(body).encode()
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body is not None else {})
        response = self._send(method, path, query or {}, headers, preload_content=True, **options)
        self._refuse_page(response)
        if not response.data.strip():
            return {}
        try:
            document = strict_json.decode(response.data)
        except strict_json.JsonError as error:
            raise KubeflowError(
                f"{self.title} at {redact(self.url)} answered {method} {path} with something that is not JSON "
                f"({error}); check that the address is that of the API; {self.remedy}"
            ) from error
        if not isinstance(document, dict):
            raise KubeflowError(f"{self.title} at {redact(self.url)} answered {method} {path} with no JSON object")
        return document

    def lines(self, path: str, read_seconds: float = TIMEOUT_SECONDS, **query: str) -> Iterator[str]:
        """The lines of a text as they come.

        Args:
            path: As for :meth:`request`.
            read_seconds: How long the server may say nothing.
            query: As for :meth:`request`.

        Raises:
            KubeflowError: As for :meth:`request`.
        """
        response = self._send("GET", path, query, {}, preload_content=False, read_seconds=read_seconds)
        rest = b""
        try:
            for chunk in response.stream(65536):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")
            if rest:
                yield rest.decode(errors="replace")
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(
                f"{self.title} at {redact(self.url)} stopped in the middle ({_reason(error)})"
            ) from error
        finally:
            response.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        preload_content: bool,
        read_seconds: float = TIMEOUT_SECONDS,
        **options: Any,  # noqa: ANN401  (what urllib3 takes)
    ) -> urllib3.BaseHTTPResponse:
        from urllib.parse import urlencode

        asked = {name: value for name, value in query.items() if value}
        url = f"{self.url}{path}" + (f"?{urlencode(asked)}" if asked else "")
        own = self.headers()
        # A refused connection will be refused again at once; an answer that says "later" may be better in a moment.
        tries = urllib3.Retry(connect=0, read=1, redirect=0, status=2, other=0, backoff_factor=0.3)
        tries.status_forcelist = {502, 503, 504}
        tries.raise_on_redirect = tries.raise_on_status = False
        try:
            response = self.connections.request(
                method,
                url,
                headers={**headers, **own},
                retries=tries,
                redirect=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                preload_content=preload_content,
                **options,
            )
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(
                f"{self.title} does not answer at {redact(self.url)}: {_hide(_reason(error), own)}; {self.remedy}"
            ) from error
        if response.status >= 300:
            self._refuse(method, path, response, own)
        return response

    def _refuse_page(self, response: urllib3.BaseHTTPResponse) -> None:
        """A login page says 200, and so does the web UI in front of an API that is not behind this address."""
        if not response.headers.get("Content-Type", "").lower().startswith(("text/html", "application/xhtml")):
            return
        if asks_to_sign_in(response.data[:_PAGE_BYTES].decode(errors="replace")):
            raise NotAuthorisedError(
                f"{redact(self.url)} answered with a login page, not as {self.title}; your session has ended or none "
                f"was given; {self.remedy}"
            )
        raise KubeflowError(
            f"{redact(self.url)} answered with a web page, not as {self.title}; the address may lack its path, such as "
            f"/pipeline; {self.remedy}"
        )

    def _refuse(self, method: str, path: str, response: urllib3.BaseHTTPResponse, own: Mapping[str, str]) -> NoReturn:
        status = response.status
        said = _hide(_said(response.data), own)
        asked = f"{method} {path.partition('?')[0]}"
        where = f"{self.title} at {redact(self.url)}"
        target = urljoin(f"{self.url}{path}", response.headers.get("Location", ""))
        if status < 400 and not leads_to_sign_in(target) and urlsplit(target).hostname == urlsplit(self.url).hostname:
            raise KubeflowError(
                f"{redact(self.url)} sends {asked} on to {redact(target).partition('?')[0]}, and credentials are not "
                f"carried on; give the address that it leads to; {self.remedy}"
            )
        if status < 400:
            raise NotAuthorisedError(
                f"{redact(self.url)} sends {asked} on to another address, as a login does; your session has ended or "
                f"none was given; {self.remedy}"
            )
        if status == 401 or "Unauthenticated" in said:
            raise NotAuthorisedError(f"{where} does not know who asks ({status}: {said}); {self.remedy}")
        if status == 403 and "quota" not in said:
            raise NotAuthorisedError(
                f"{where} does not allow this ({status}: {said}); ask for the right, or name the namespace that is "
                "yours with --namespace"
            )
        kind: type[SightlineError] = KubeflowError
        if status == 404:
            kind = NotThereError
        elif status == 409:
            kind = TakenError
        raise kind(f"{where} refused {asked} ({status}): {said}")


def _said(data: bytes) -> str:
    """What the body of a refusal says, in one line."""
    try:
        document = strict_json.decode(data)
    except strict_json.JsonError:
        document = {}
    text = ""
    if isinstance(document, dict):
        text = str(document.get("message") or document.get("error") or document.get("error_message") or "")
    if not text:
        text = data[:_ERROR_TEXT].decode(errors="replace")
        text = "a web page" if "<html" in text.lower() else text
    text = " ".join(text.split())
    return text if len(text) <= _ERROR_TEXT else text[: _ERROR_TEXT - 3] + "..."


def _hide(text: str, secrets: Mapping[str, str]) -> str:
    for value in secrets.values():
        for part in {value, value.removeprefix("Bearer ")}:
            text = text.replace(part, "***") if len(part) > 3 else text
    return redact(text)


def _reason(error: BaseException) -> str:
    """Why there was no answer, in the words of the innermost error."""
    while isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    inner = error.__cause__ or error.__context__
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "no such host"
    if isinstance(inner, TimeoutError) or isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return "it took too long"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()
    return str(error).rpartition(": ")[2] or type(error).__name__
