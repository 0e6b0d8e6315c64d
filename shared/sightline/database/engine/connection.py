"""Transactions on SQLite, the embedded default, and on MySQL or MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from sightline.database.engine.address import require_supported, shown
from sightline.database.engine.faults import hint
from sightline.database.engine.retry import with_retries
from sightline.database.engine.server import connect_server
from sightline.database.engine.sqlite import WRITES, connect_sqlite
from sightline.errors import DatabaseError

Result = TypeVar("Result")


def connect(url: str, *, create: bool = True) -> Engine:
    """An engine with Sightline's options; it does not connect to a server yet.

    Args:
        url: ``sqlite:////absolute/path`` or ``mysql+pymysql://user@host:3306/name``, with the options of
            :class:`~sightline.database.engine.address.ServerOptions`: ``...?ssl_ca=/etc/ssl/our-ca.pem``.  The password
            of a server is read from the environment variable ``SIGHTLINE_DATABASE_PASSWORD``.
        create: Whether a SQLite file that does not exist may be created.

    Raises:
        DatabaseError: The URL is not supported, its driver is missing, or the file does not exist.
    """
    parsed = require_supported(url)
    return connect_sqlite(parsed, create=create) if parsed.get_backend_name() == "sqlite" else connect_server(parsed)


def read(engine: Engine, what: str, work: Callable[[Connection], Result]) -> Result:
    """Do ``work`` in a read-only transaction.

    Args:
        engine: Result of :func:`connect`.
        what: The action in the infinitive, for log lines and errors.
        work: Called with the connection; called again after a transient error.

    Raises:
        DatabaseError: The error of the database, without the values that were sent.
    """
    return _transact(engine, what, work)


def write(engine: Engine, what: str, work: Callable[[Connection], Result]) -> Result:
    """Do ``work`` in one transaction; see :func:`read`.

    If the connection is lost during the commit, it is unknown whether the commit succeeded, and ``work`` is called
    again: it must detect what it wrote before, for example by an IntegrityError.

    Raises:
        IntegrityError: A row exists already; the transaction has ended.
        DatabaseError: Any other error of the database.
    """
    return _transact(engine.execution_options(**{WRITES: True}), what, work)


@contextmanager
def explained(engine: Engine, what: str) -> Iterator[None]:
    """Convert errors of the database to errors with place and next step; an IntegrityError is passed on."""
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
        return DatabaseError(f"cannot {what} in {shown(url)}: {error.orig}; {hint(error, url)}")
    return DatabaseError(f"cannot {what} in {shown(url)}: {error}; check database.url")
