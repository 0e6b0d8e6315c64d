"""Connections to SQLite, the embedded default, and to MySQL or MariaDB, with the options that keep data safe."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from sightline.database.retry import is_transient, with_retries
from sightline.errors import DatabaseError

PASSWORD_VARIABLE = "SIGHTLINE_DATABASE_PASSWORD"  # noqa: S105  (the name of a variable)
TIMEOUT_SECONDS = 60
SQLITE_LOCK_SECONDS = 30.0
POOL_RECYCLE_SECONDS = 1800

_LOCK_POLL_SECONDS = 0.02

_WRITES = "sightline_writes"

Result = TypeVar("Result")


def shown(url: URL) -> str:
    """The URL as it may be logged and typed: without a password."""
    return URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database, url.query
    ).render_as_string()


def connect(url: str, *, create: bool = True) -> Engine:
    """An engine with Sightline's options; nothing is sent to a server yet.

    Args:
        url: ``sqlite:////absolute/path`` or ``mysql+pymysql://user@host:3306/name``.  The password of a server comes
            from the environment variable ``SIGHTLINE_DATABASE_PASSWORD``.
        create: Whether a SQLite file that does not exist may be created.

    Raises:
        DatabaseError: The URL cannot be used, its driver is missing, or there is no such file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseError(
            "the database URL cannot be read; expected sqlite:////absolute/path or mysql+pymysql://user@host:3306/name"
        ) from error
    back_end = parsed.get_backend_name()
    if back_end == "sqlite":
        return _connect_sqlite(parsed, create=create)
    if back_end in {"mysql", "mariadb"}:
        return _connect_mysql(parsed)
    raise DatabaseError(f"database {shown(parsed)}: {back_end} is not supported; choose sqlite, mysql or mariadb")


def read(engine: Engine, what: str, work: Callable[[Connection], Result]) -> Result:
    """Do ``work`` in a transaction of its own that only reads.

    Args:
        engine: From :func:`connect`.
        what: What is done, in the infinitive, for log lines and errors.
        work: Gets the connection; may be called again after a transient fault.

    Raises:
        DatabaseError: What the database said, without the values that were sent.
    """
    return _transact(engine, what, work)


def write(engine: Engine, what: str, work: Callable[[Connection], Result]) -> Result:
    """Do ``work`` in one transaction; see :func:`read`.

    Raises:
        IntegrityError: A row is there already; the transaction is over.
        DatabaseError: Anything else that the database said.
    """
    return _transact(engine.execution_options(**{_WRITES: True}), what, work)


@contextmanager
def explained(engine: Engine, what: str) -> Iterator[None]:
    """Turn what the database says into an error with the place and the next step; an IntegrityError goes through."""
    try:
        yield
    except IntegrityError:
        raise
    except SQLAlchemyError as error:
        raise _explain(engine.url, what, error) from error


def _transact(engine: Engine, what: str, work: Callable[[Connection], Result]) -> Result:
    def transaction() -> Result:
        with engine.begin() as connection:
            return work(connection)

    with explained(engine, what):
        return with_retries(transaction, what)


def _explain(url: URL, what: str, error: SQLAlchemyError) -> DatabaseError:
    if isinstance(error, DBAPIError):
        said = str(error.orig)
        if is_transient(error):
            hint = "it was tried several times: check that the server runs and that nothing holds its locks"
        else:
            hint = f"check the URL, the rights of its user, and the password in {PASSWORD_VARIABLE}"
            if url.get_backend_name() == "sqlite":
                hint = "check that the file is a Sightline database, that it may be written, and that the disk has room"
    else:
        said, hint = str(error), "check database.url"
    return DatabaseError(f"cannot {what} in {shown(url)}: {said}; {hint}")


def _connect_sqlite(url: URL, *, create: bool) -> Engine:
    if not url.database or url.database == ":memory:":
        raise DatabaseError(
            f"database {shown(url)}: a file is needed, which all steps can open; expected sqlite:////absolute/path"
        )
    path = Path(url.database).expanduser()
    if not create and not path.is_file():
        raise DatabaseError(f"there is no database {path}; check database.url, or create it: sightline db upgrade")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"cannot create the folder {path.parent} of the database: {error.strerror}; set database.url to another"
        ) from error
    engine = create_engine(
        url.set(database=str(path)), connect_args={"timeout": SQLITE_LOCK_SECONDS}, hide_parameters=True
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401  (the driver's own connection)
    """Leave transactions to :func:`_begin_sqlite`; write-ahead log, so that readers never wait for writers."""
    connection.isolation_level = None
    _write_ahead(connection)
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: Any) -> None:  # noqa: ANN401  (the driver's own connection)
    """Switch the file to the write-ahead log; SQLite itself does not wait for a writer when it does that."""
    deadline = time.monotonic() + SQLITE_LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
        else:
            return
        time.sleep(_LOCK_POLL_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: taken later, it could not be waited for."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _connect_mysql(url: URL) -> Engine:
    if url.drivername in {"mysql", "mariadb"}:
        url = url.set(drivername=f"{url.drivername}+pymysql")
    if url.get_driver_name() != "pymysql":
        raise DatabaseError(f"database {shown(url)}: only the driver pymysql is supported; use mysql+pymysql://")
    if importlib.util.find_spec("pymysql") is None:
        raise DatabaseError(f"database {shown(url)}: the driver is not installed; pip install 'sightline[mysql]'")
    if not url.database:
        raise DatabaseError(f"database {shown(url)}: the URL names no database; expected ...@host:3306/name")
    password = os.environ.get(PASSWORD_VARIABLE)
    return create_engine(
        url.set(password=password) if password else url,
        paramstyle="format",
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": TIMEOUT_SECONDS,
            "read_timeout": TIMEOUT_SECONDS,
            "write_timeout": TIMEOUT_SECONDS,
        },
        pool_pre_ping=True,
        pool_recycle=POOL_RECYCLE_SECONDS,
        hide_parameters=True,
    )
