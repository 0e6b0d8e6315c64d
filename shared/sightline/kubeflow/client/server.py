"""A server with a REST API, accessed through the client of the ``kubernetes`` package.

The classes of ``kfp_server_api`` work with this client too, because both packages have the same generator.  This module
adds what the library lacks: credentials that are read for each request, the CAs of the system, and our errors.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTClientObject

from sightline import strict_json
from sightline.errors import KubeflowError
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.client.failures import Place, broken_off, refused, secrets_of, unreachable, web_page

CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
_LONGEST_WAIT_SECONDS = 10

Headers = Callable[[], Mapping[str, str]]


class Server(ApiClient):  # type: ignore[misc]  # the library has no types
    """A server with a REST API, and the credentials for it.

    Args:
        place: The description of the server in messages.
        configuration: Settings of the library: address and proxy.
        headers: Returns the headers with the credentials, for every request.
        tls: Trusted CAs and client certificate; None: the CAs of the system, and no certificate.
    """

    def __init__(
        self, place: Place, configuration: Configuration, headers: Headers = dict, tls: ssl.SSLContext | None = None
    ) -> None:
        try:
            super().__init__(configuration)
            self.rest_client = _Connections(place, configuration, tls)
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(place, error) from error
        self.place, self.headers = place, headers

    def update_params_for_auth(self, headers: dict[str, str], querys: object, auth_settings: object) -> None:  # noqa: ARG002
        """Add the credentials to a request; called by the library."""
        headers.update(self.headers())

    def ask(self, call: Callable[..., Any], /, **arguments: object) -> Document:
        """Send one request and return the response.

        Args:
            call: A method of one of the library's API classes.
            arguments: Its arguments; empty ones are omitted.

        Raises:
            KubeflowError: A subclass for each kind of failure.
        """
        response = call(**_given(arguments), _preload_content=False)
        try:
            document = strict_json.decode(response.data) if response.data.strip() else {}
        except urllib3.exceptions.HTTPError as error:
            raise broken_off(self.place, error) from error
        except strict_json.JsonError as error:
            raise KubeflowError(
                f"{self.place} sent a response that is not valid JSON ({error}); check that this is the address of the "
                f"API; {self.place.remedy}"
            ) from error
        if not isinstance(document, dict):
            raise KubeflowError(f"{self.place} sent JSON that is not an object; {self.place.remedy}")
        return document

    def lines(
        self, call: Callable[..., Any], /, read_seconds: float = READ_SECONDS, **arguments: object
    ) -> Iterator[str]:
        """The lines of a text response as they arrive, with at most ``read_seconds`` between them.

        Raises:
            KubeflowError: As for :meth:`ask`, or the connection broke off.
        """
        timeout = (CONNECT_SECONDS, read_seconds)
        response = call(**_given(arguments), _preload_content=False, _request_timeout=timeout)
        rest = b""
        try:
            for chunk in response.stream(65536):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")
            if rest:
                yield rest.decode(errors="replace")
        except urllib3.exceptions.HTTPError as error:
            raise broken_off(self.place, error) from error
        finally:
            response.close()

    def send(self, method: str, path: str, body: Document | None = None) -> Document:
        """Send one request to a path for which the library has no method."""
        return self.ask(self.call_api, resource_path=path, method=method, body=body, _return_http_data_only=True)


class _Connections(RESTClientObject):  # type: ignore[misc]  # the library has no types
    """The connections of the library; every failure is raised as one of our errors."""

    def __init__(self, place: Place, configuration: Configuration, tls: ssl.SSLContext | None) -> None:
        super().__init__(configuration)
        self.place = place
        # By default the library uses the CAs of certifi, not those of the system, which include the company's.
        own = {"ca_certs": None, "cert_file": None, "key_file": None, "ssl_context": tls}
        self.pool_manager.connection_pool_kw.update(own)
        # urllib3 logs every retry as a warning; the last failure raises an error anyway.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

    def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        **options: Any,  # noqa: ANN401  (urllib3's)
    ) -> urllib3.BaseHTTPResponse:
        """Send one request; called by the library for every HTTP method."""
        asked, secrets = f"{method} {urlsplit(url).path}", secrets_of(headers)
        options["_request_timeout"] = options.get("_request_timeout") or (CONNECT_SECONDS, READ_SECONDS)
        try:
            response: urllib3.BaseHTTPResponse = super().request(method, url, headers=headers, **options)
            kind = response.headers.get("Content-Type", "").lower()
            page = response.data if kind.startswith(("text/html", "application/xhtml")) else None
        except ApiException as error:
            raise refused(
                self.place, asked, error, secrets
            ) from None  # the original exception contains headers with cookies
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(self.place, error, secrets) from None
        if page is not None:
            raise web_page(self.place, page)
        return response


def _given(arguments: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in arguments.items() if value not in ("", None)}


def retries() -> urllib3.Retry:
    """Retry connections once, and read requests if the server is busy."""
    return urllib3.Retry(
        total=3,
        connect=1,
        read=1,
        status=2,
        other=0,
        redirect=False,
        allowed_methods={"GET"},
        status_forcelist={429, 502, 503, 504},
        backoff_factor=0.3,
        raise_on_status=False,
        retry_after_max=_LONGEST_WAIT_SECONDS,
    )
