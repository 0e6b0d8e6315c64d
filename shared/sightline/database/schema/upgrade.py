"""The schema's version: Alembic migrations that come with the package, one table each."""

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
"""How long an upgrade waits for another one."""

UPGRADE_SECONDS = 21_600
"""How long one statement of an upgrade may take: an index on ten million rows takes minutes, on a slow disk hours."""


def current_revision(engine: Engine) -> str:
    """The revision that the database is at; empty when it has no tables yet.

    Raises:
        DatabaseError: It cannot be reached.
    """
    return read(engine, "read the schema's revision", _current)


def head_revision() -> str:
    """The revision that this code expects."""
    return _known_revisions()[0]


def require_current(engine: Engine) -> None:
    """Refuse a database whose schema this code cannot use.

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
    """Bring the database to the revision that this code expects; safe to repeat, and safe among processes.

    On SQLite the whole upgrade is one transaction.  MySQL commits at every statement, so each migration has one
    statement that is left out when it was done, and an upgrade that was killed is simply run again.

    Raises:
        DatabaseError: The schema is newer than this code, or the database refused.
    """
    current = current_revision(engine)
    if current == head_revision():
        return
    if current not in {"", *_known_revisions()}:
        raise _newer(engine, current)
    with _patient(engine) as patient, explained(patient, "upgrade the schema"):
        with_retries(functools.partial(_upgrade, patient), "upgrade the schema")


def differences(engine: Engine) -> list[str]:
    """How the tables of the database differ from those that this code expects; empty when they do not.

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
    """What Alembic wrote down.  Asked for by every command, so without importing Alembic, which takes 0.2 s."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.scalar(text("SELECT version_num FROM alembic_version")) or ""


def _known_revisions() -> list[str]:
    """All revisions, the newest first: the numbers in front of the files' names."""
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
    """The same database, on connections that wait for a slow statement; SQLite's do so anyway."""
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
    """Hold the server's lock for upgrades of this database, on a connection of its own.

    It must outlive the transaction: freed before the commit, it would let the next one in with the revision before.
    The server frees it when the connection is closed, or lost.  SQLite's writing transaction is a lock already.
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
        f"database {shown(engine.url)} is at schema {current}, which this Sightline does not know (its own is "
        f"{head_revision()}): a newer Sightline has upgraded it; install that one, or use another database"
    )
