"""Parses the address of a database and its connection options from a URL."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sightline.errors import DatabaseError
from sightline.names import unknown_name
from sightline.url_secrets import redact

PASSWORD_VARIABLE = "SIGHTLINE_DATABASE_PASSWORD"  # noqa: S105  (the name of a variable)

BACK_ENDS = ("sqlite", "mysql", "mariadb")
SSL_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
OPTIONS = {
    "ssl_mode": " | ".join(SSL_MODES),
    "ssl_ca": "file with the trusted CA certificates",
    "ssl_cert": "file with the client's certificate",
    "ssl_key": "file with the client's key",
    "connect_timeout": "seconds",
    "statement_timeout": "seconds for one statement",
    "pool_size": "connections that each process keeps open",
}
_NUMBERS = {"connect_timeout": (10, 1, 3_600), "statement_timeout": (60, 2, 86_400), "pool_size": (5, 1, 100)}
"""Default, minimum and maximum."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Connection options of a server.

    Attributes:
        ssl_mode: As in MySQL's own clients: ``disabled``; ``preferred``, encrypt if the server supports it (the
            default); ``required``, encrypt or fail (the default with ``ssl_cert``); ``verify_ca``, the server's
            certificate must be signed by an authority of ``ssl_ca``; ``verify_identity``, and must name the host of
            the URL (the default with ``ssl_ca``).
        ssl_ca: PEM file; empty for the CA certificates of this machine.
        ssl_cert: PEM file of the client; empty for none.
        ssl_key: PEM file of its key, without a passphrase; empty if it is part of ``ssl_cert``.
        connect_timeout: Seconds to open the connection.
        statement_timeout: Seconds for one statement, after which the server aborts it.
        pool_size: Number of connections that a process keeps open; up to ten more are opened on demand.
    """

    ssl_mode: str
    ssl_ca: str
    ssl_cert: str
    ssl_key: str
    connect_timeout: int
    statement_timeout: int
    pool_size: int


def parse_address(url: str) -> URL:
    """Parse a URL, which must not contain a password.

    Raises:
        DatabaseError: It cannot be parsed, or contains a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the exception's text may contain a part of a password
        raise DatabaseError(
            "the database URL cannot be read; expected sqlite:////absolute/path or mysql+pymysql://user@host:3306/name"
        ) from None
    if parsed.password is not None:
        raise DatabaseError(
            f"database {redact(url)}: the URL contains a password, which would appear in process lists and logs; "
            f"remove it and set {PASSWORD_VARIABLE} in the environment"
        )
    return parsed


def require_supported(url: str) -> URL:
    """Parse a URL, and reject unsupported databases.

    Raises:
        DatabaseError: It cannot be parsed, contains a password, or is of another kind.
    """
    parsed = parse_address(url)
    if parsed.get_backend_name() not in BACK_ENDS:
        raise DatabaseError(
            f"database {shown(parsed)}: {unknown_name('kind of database', parsed.get_backend_name(), BACK_ENDS)}"
        )
    return parsed


def shown(url: URL) -> str:
    """The URL for logs and commands: without a password and without unknown options, which may contain one."""
    query = {name: value for name, value in url.query.items() if name in OPTIONS}
    return URL.create(url.drivername, url.username, None, url.host, url.port, url.database, query).render_as_string()


def parse_options(url: URL) -> ServerOptions:
    """Parse the query of a server's URL.

    Raises:
        DatabaseError: An option does not exist, has an invalid value, or refers to a missing file.
    """
    values: dict[str, str] = {}
    for name, value in url.query.items():
        if name not in OPTIONS:
            choices = "; ".join(f"{option} ({meaning})" for option, meaning in OPTIONS.items())
            raise _refused(url, f"unknown option {name} in the URL; choose from {choices}")
        if not isinstance(value, str) or not value:
            raise _refused(url, f"{name} needs one value")
        values[name] = value
    files = {name: values.get(name, "") for name in ("ssl_ca", "ssl_cert", "ssl_key")}
    for name, path in files.items():
        if path and not Path(path).is_file():
            raise _refused(url, f"{name}: there is no file {path}")
    return ServerOptions(
        ssl_mode=_ssl_mode(url, values, files),
        ssl_ca=files["ssl_ca"],
        ssl_cert=files["ssl_cert"],
        ssl_key=files["ssl_key"],
        connect_timeout=_number(url, values, "connect_timeout"),
        statement_timeout=_number(url, values, "statement_timeout"),
        pool_size=_number(url, values, "pool_size"),
    )


def tls_context(url: URL, options: ServerOptions) -> ssl.SSLContext | None:
    """The TLS context; None if the URL does not set one.

    Raises:
        DatabaseError: A file is not a readable certificate or key.
    """
    if options.ssl_mode in {"disabled", "preferred"}:
        return None
    try:
        context = ssl.create_default_context(cafile=options.ssl_ca or None)
    except (ssl.SSLError, OSError) as error:
        raise _refused(url, f"ssl_ca: {options.ssl_ca} is not a readable PEM file of certificates") from error
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # MySQL's self-generated certificates fail it
    context.check_hostname = options.ssl_mode == "verify_identity"
    context.verify_mode = ssl.CERT_NONE if options.ssl_mode == "required" else ssl.CERT_REQUIRED
    if options.ssl_cert:
        try:
            context.load_cert_chain(options.ssl_cert, options.ssl_key or None, password="")
        except (ssl.SSLError, OSError) as error:
            raise _refused(
                url,
                f"ssl_cert {options.ssl_cert} and ssl_key {options.ssl_key or '(the same file)'} are not a PEM "
                "certificate and its key, or the key has a passphrase; use a key without one",
            ) from error
    return context


def _ssl_mode(url: URL, values: Mapping[str, str], files: Mapping[str, str]) -> str:
    default = "verify_identity" if files["ssl_ca"] else "required" if files["ssl_cert"] else "preferred"
    mode = values.get("ssl_mode", default).lower()
    if mode not in SSL_MODES:
        raise _refused(url, f"ssl_mode: {mode!r} is not known; choose from {', '.join(SSL_MODES)}")
    if files["ssl_ca"] and not mode.startswith("verify"):
        raise _refused(url, f"ssl_ca has no effect with ssl_mode={mode}; choose verify_ca or verify_identity")
    if files["ssl_cert"] and mode in {"disabled", "preferred"}:
        raise _refused(url, f"ssl_cert has no effect with ssl_mode={mode}; choose required or stricter")
    if files["ssl_key"] and not files["ssl_cert"]:
        raise _refused(url, "ssl_key needs ssl_cert, the certificate of this key")
    return mode


def _number(url: URL, values: Mapping[str, str], name: str) -> int:
    default, least, greatest = _NUMBERS[name]
    given = values.get(name, str(default))
    if not (given.isascii() and given.isdecimal() and len(given) < 9 and least <= int(given) <= greatest):
        raise _refused(url, f"{name}: {given!r} is not a whole number from {least} to {greatest}")
    return int(given)


def _refused(url: URL, reason: str) -> DatabaseError:
    return DatabaseError(f"database {shown(url.set(query={}))}: {reason}")
