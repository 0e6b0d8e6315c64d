"""Upgrades the schema with the Alembic migrations of the package."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

from sqlalchemy import Connection, Engine, inspect, text

from sightline.database.engine.address import shown
from sightline.database.engine.connection import connect, explained, read
from sightline.database.engine.retry import with_retries
from sightline.database.engine.sqlite import WRITES
from sightline.database.schema.tables import METADATA
from sightline.errors import DatabaseError

SCRIPTS = "sightline.database.schema:migrations"
LOCK_SECONDS = 50
"""How long an upgrade waits for a concurrent one."""

UPGRADE_SECONDS = 21_600
"""Time limit for one statement of an upgrade: an index on ten million rows takes minutes, on a slow disk hours."""


def current_revision(engine: Engine) -> str:
    """The schema revision of the database; empty if it has no tables yet.

    Raises:
        DatabaseError: It cannot be reached.
    """
    return read(engine, "read the schema's revision", _current)


def head_revision() -> str:
    """The schema revision that this code expects."""
    return _known_revisions()[0]


def require_current(engine: Engine) -> None:
    """Reject a database whose schema this code cannot use.

    Raises:
        DatabaseError: The schema is older or newer than this code.
    """
    current, head = current_revision(engine), head_revision()
    if current not in {"", *_known_revisions()}:
        raise _newer(engine, current)
    if current != head:
        state = f"is at schema {current}" if current else "has no tables yet"
        raise DatabaseError(
            f"database {shown(engine.url)} {state}, but this Sightline needs schema {head}; run "
            f"`sightline db upgrade --url {shown(engine.url)}`"
        )


def upgrade(engine: Engine) -> None:
    """Upgrade the database to the revision that this code expects; can be repeated and run concurrently.

    On SQLite the whole upgrade is one transaction.  MySQL commits after every statement, so each migration has one
    statement that is skipped if it was done before, and an upgrade that was killed can simply be repeated.

    Raises:
        DatabaseError: The schema is newer than this code, or the database returned an error.
    """
    current = current_revision(engine)
    if current == head_revision():
        return
    if current not in {"", *_known_revisions()}:
        raise _newer(engine, current)
    with _patient(engine) as patient, explained(patient, "upgrade the schema"):
        with_retries(functools.partial(_upgrade, patient), "upgrade the schema")


def differences(engine: Engine) -> list[str]:
    """The differences between the tables of the database and those that this code expects; empty if there are none.

    Raises:
        DatabaseError: It cannot be reached.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def work(connection: Connection) -> list[str]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, METADATA)]

    return read(engine, "compare the schema", work)


def _current(connection: Connection) -> str:
    """The revision stored by Alembic.  Read by every command, so without importing Alembic, which takes 0.2 s."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.scalar(text("SELECT version_num FROM alembic_version")) or ""


def _known_revisions() -> list[str]:
    """All revisions, newest first: the numbers at the beginning of the file names."""
    files = (resources.files("sightline.database.schema.migrations") / "versions").iterdir()
    return sorted((file.name.partition("_")[0] for file in files if file.name[:4].isdecimal()), reverse=True)


def _upgrade(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    with _alone(engine), engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _patient(engine: Engine) -> Iterator[Engine]:
    """The same database, with connections that wait for slow statements; SQLite always does."""
    if engine.dialect.name == "sqlite":
        yield engine.execution_options(**{WRITES: True})
        return
    patient = connect(shown(engine.url.update_query_dict({"statement_timeout": str(UPGRADE_SECONDS)})))
    try:
        yield patient
    finally:
        patient.dispose()


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Hold the server's lock for upgrades of this database, on a separate connection.

    It must outlive the transaction: if it were released before the commit, the next upgrade would still see the
        previous
    revision.  The server releases it when the connection is closed or lost.  On SQLite the write transaction is the
    lock.
    """
    if engine.dialect.name == "sqlite":
        yield
        return
    name = {"name": "sightline-" + hashlib.sha256(str(engine.url.database).encode()).hexdigest()[:32]}
    with engine.connect() as connection:
        connection.detach()
        if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), name | {"seconds": LOCK_SECONDS}) != 1:
            raise DatabaseError(
                f"another process has been upgrading {shown(engine.url)} for {LOCK_SECONDS} s; "
                "wait for it, then run `sightline db upgrade` again"
            )
        yield


def _newer(engine: Engine, current: str) -> DatabaseError:
    return DatabaseError(
        f"database {shown(engine.url)} is at schema {current}, but this version of Sightline only knows schemas up to "
        f"{head_revision()}: install the newer version that upgraded it, or use another database"
    )
