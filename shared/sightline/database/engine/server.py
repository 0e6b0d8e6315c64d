"""Connections to MySQL and MariaDB.

The time limits are coordinated: a statement waits for a lock for some time, the server aborts the statement a little
later, and the client disconnects only after that, so that it never leaves a running statement behind.  A server whose
client disappeared (a network failure without notice) releases the locks of its transaction after
:data:`IDLE_SECONDS`; otherwise the next attempt could wait for these locks for hours.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import ssl
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, create_engine

from sightline.database.engine.address import PASSWORD_VARIABLE, ServerOptions, parse_options, shown, tls_context
from sightline.errors import DatabaseError
from sightline.extras import installation_command

if TYPE_CHECKING:
    import pymysql

IDLE_SECONDS = 60
"""How long a connection may be idle before the server closes it and rolls its transaction back."""

LOCK_SECONDS = 50
"""How long a statement waits for a lock, if its own time limit allows it."""

HANG_UP_SECONDS = 15
"""How much longer than the server the client waits for a statement."""

OLDEST = {"MySQL": (8, 0), "MariaDB": (10, 6)}
SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
"""Reject values that do not fit into a column; some servers are configured to truncate them."""


def connect_server(url: URL) -> Engine:
    """An engine for a server; see :func:`sightline.database.engine.connection.connect`."""
    if url.drivername in {"mysql", "mariadb"}:
        url = url.set(drivername=f"{url.drivername}+pymysql")
    if url.get_driver_name() != "pymysql":
        raise DatabaseError(f"database {shown(url)}: only the driver pymysql is supported; use mysql+pymysql://")
    if importlib.util.find_spec("pymysql") is None:
        raise DatabaseError(f"database {shown(url)}: its driver is not installed; {installation_command('mysql')}")
    if not url.database:
        raise DatabaseError(f"database {shown(url)}: the URL has no database name; expected ...@host:3306/name")
    options = parse_options(url)
    return create_engine(
        url,
        creator=functools.partial(_open, url, options, tls_context(url, options)),
        paramstyle="format",
        pool_size=options.pool_size,
        max_overflow=10,
        pool_timeout=options.statement_timeout,
        pool_pre_ping=True,
        pool_recycle=max(IDLE_SECONDS // 2, 1),
        hide_parameters=True,
    )


def _open(url: URL, options: ServerOptions, tls: ssl.SSLContext | None) -> pymysql.Connection[Any]:
    """Open one connection, with all time limits set.

    Raises:
        DatabaseError: The server is too old, or its authentication method needs another package.
    """
    import pymysql
    from pymysql.constants import CLIENT

    password: Any = os.environ.get(PASSWORD_VARIABLE, "").encode()  # PyMySQL would encode text as Latin-1
    try:
        connection = pymysql.connect(
            host=url.host,
            port=url.port or 3306,
            user=url.username,
            password=password,
            database=url.database,
            charset="utf8mb4",
            sql_mode=SQL_MODE,
            client_flag=CLIENT.FOUND_ROWS,
            connect_timeout=options.connect_timeout,
            read_timeout=options.statement_timeout + HANG_UP_SECONDS,
            write_timeout=options.statement_timeout + HANG_UP_SECONDS,
            ssl=tls,
            ssl_disabled=options.ssl_mode == "disabled",
        )
    except RuntimeError as error:  # raised by PyMySQL if an authentication method needs another package
        raise DatabaseError(
            f"database {shown(url)}: {error}; install it, or let the user authenticate by another method"
        ) from error
    try:
        _set_limits(connection, url, options)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_limits(connection: pymysql.Connection[Any], url: URL, options: ServerOptions) -> None:
    """Check the server's version, and set its time limits."""
    kind = _require_version(url, connection.get_server_info())  # type: ignore[no-untyped-call]
    limits = ", ".join(f"{name} = {value}" for name, value in _limits(kind, options.statement_timeout).items())
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION {limits}")


def _limits(kind: str, seconds: int) -> dict[str, int]:
    """Session variables for the time limits; MySQL itself only aborts statements that read."""
    lock_seconds = min(LOCK_SECONDS, seconds - 1)
    limits = {
        "wait_timeout": max(IDLE_SECONDS, seconds),
        "lock_wait_timeout": lock_seconds,
        "innodb_lock_wait_timeout": lock_seconds,
    }
    return limits | ({"max_statement_time": seconds} if kind == "MariaDB" else {"max_execution_time": seconds * 1000})


def _require_version(url: URL, version: str) -> str:
    """``MySQL`` or ``MariaDB``, from the server's version string, such as ``5.5.5-10.11.6-MariaDB``."""
    kind = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) < OLDEST[kind]:
        needed = " or ".join(f"{name} {major}.{minor}" for name, (major, minor) in OLDEST.items())
        raise DatabaseError(f"database {shown(url)}: the server is {kind} {version}, but {needed} or newer is needed")
    return kind
