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
    """An engine with Sightline's options; nothing is sent to a server yet.

    Args:
        url: ``sqlite:////absolute/path`` or ``mysql+pymysql://user@host:3306/name``, which may ask for the options of
            :class:`~sightline.database.engine.address.ServerOptions`: ``...?ssl_ca=/etc/ssl/our-ca.pem``.  The password
            of a server comes from the environment variable ``SIGHTLINE_DATABASE_PASSWORD``.
        create: Whether a SQLite file that does not exist may be created.

    Raises:
        DatabaseError: The URL cannot be used, its driver is missing, or there is no such file.
    """
    parsed = require_supported(url)
    return connect_sqlite(parsed, create=create) if parsed.get_backend_name() == "sqlite" else connect_server(parsed)


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

    When the connection is lost during the commit, nobody knows whether it was done, and ``work`` is called again:
    it must find what it wrote before, be it by an IntegrityError.

    Raises:
        IntegrityError: A row is there already; the transaction is over.
        DatabaseError: Anything else that the database said.
    """
    return _transact(engine.execution_options(**{WRITES: True}), what, work)


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
        return DatabaseError(f"cannot {what} in {shown(url)}: {error.orig}; {hint(error, url)}")
    return DatabaseError(f"cannot {what} in {shown(url)}: {error}; check database.url")
