"""Access to a server as settings of the ``kubernetes`` client: proxy, CAs and client certificate.

Version 30 of the client ignores HTTPS_PROXY, HTTP_PROXY and NO_PROXY, sends no password to a proxy, and does not open
certificate files before the first request.
"""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import urllib3
from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from requests.utils import get_auth_from_url, get_environ_proxies, prepend_scheme_if_needed, select_proxy

from sightline.errors import ConfigurationError, KubeflowError, NotAuthorisedError
from sightline.kubeflow.client.server import retries
from sightline.url_secrets import redact


@dataclass(frozen=True)
class ClusterAccess:
    """Access to a cluster.

    Attributes:
        configuration: Settings of the client, which renews the credentials.
        tls: Trusted CAs and the client certificate.
        namespace: Namespace of the context, or empty.
        source: Where these settings come from, for messages.
    """

    configuration: Configuration = field(repr=False)
    tls: ssl.SSLContext = field(repr=False)
    namespace: str
    source: str
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def url(self) -> str:
        """Address of the API server."""
        return str(self.configuration.host)

    def headers(self) -> Mapping[str, str]:
        """Headers with the credentials.

        Raises:
            NotAuthorisedError: The credentials cannot be renewed.
        """
        try:
            with self._lock:  # only one thread runs a plugin
                token = self.configuration.get_api_key_with_prefix("authorization")
        except KubeflowError:
            raise
        except (ConfigException, OSError) as error:
            raise NotAuthorisedError(f"cannot renew the credentials of {self.source}: {error}") from error
        if token and not (token.isascii() and token.isprintable()):
            raise NotAuthorisedError(f"the token of {self.source} is not one line of ASCII; log in again")
        return {"authorization": token} if token else {}


def prepare(configuration: Configuration, proxy: str = "") -> None:
    """Set retries and proxy of a client.

    Args:
        configuration: Settings of the client, with the address of the server.
        proxy: URL of the proxy; empty: the one in the environment.
    """
    configuration.retries = retries()
    use_proxy(configuration, proxy)


def use_proxy(configuration: Configuration, proxy: str = "") -> None:
    """Let a client use a proxy, with the user and password in its URL.

    Args:
        configuration: Settings of the client.
        proxy: Its URL; empty: that of HTTPS_PROXY or HTTP_PROXY, unless NO_PROXY contains the server.  As in kubectl,
            these are not used for this machine itself, and ALL_PROXY is not used at all.
    """
    url = configuration.host
    if not proxy and not _is_this_machine(_parts(url).hostname or ""):
        proxies = {scheme: one for scheme, one in get_environ_proxies(url).items() if scheme != "all"}
        proxy = select_proxy(url, proxies) or ""
    if not proxy:
        return
    parts = _parts(prepend_scheme_if_needed(proxy, "http"))
    user, password = get_auth_from_url(parts.geturl())
    if user:
        configuration.proxy_headers = urllib3.make_headers(
            proxy_basic_auth=f"{user}:{password}", proxy_basic_auth_encoding="utf-8"
        )
    configuration.proxy = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def tls_context(configuration: Configuration, authority: str) -> ssl.SSLContext:
    """The trusted CAs and the client certificate.

    Args:
        configuration: Settings of the client, with the paths of the files.
        authority: Where the user set them, for messages.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    trusted = ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE
    context = urllib3.util.create_urllib3_context(cert_reqs=trusted)
    try:
        if configuration.ssl_ca_cert:
            context.load_verify_locations(configuration.ssl_ca_cert)
        else:
            context.load_default_certs()
        if configuration.cert_file:
            # Without a password here, OpenSSL would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(configuration.cert_file, configuration.key_file, password="")
    except OSError as error:  # errors of ssl are OSErrors
        reason = getattr(error, "reason", None) or error.strerror or "it contains no certificate"
        raise ConfigurationError(
            f"cannot use the certificates set by {authority}: {str(reason).lower().replace('_', ' ')}; expected "
            "PEM files with certificates, and a matching key without a password"
        ) from error
    if not configuration.verify_ssl:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the kubeconfig disables verification
    return context


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (reading it validates it)
    except ValueError as error:
        raise ConfigurationError(f"{redact(url)} is not a URL ({error}); expected e.g. https://host:port") from error
    return parts


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
