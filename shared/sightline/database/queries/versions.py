"""Atomic registration of dataset versions."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection, Engine, Integer, Row, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from sightline.database.engine.connection import read, write
from sightline.database.queries.image_rows import COLUMNS, ImageRows
from sightline.database.records import CategoryCount, ImageRecord, VersionKind, VersionRecord, VersionRow
from sightline.database.schema.checks import check_row
from sightline.database.schema.tables import CATEGORY_COUNTS, IMAGES, SPLIT_COUNTS, VERSIONS
from sightline.errors import DatabaseError, VersionConflictError

CHUNK_ROWS = 5_000
"""Number of image rows that are read, or passed to SQLite, at once."""

STATEMENT_ROWS = 500
"""Rows per statement for a server; at most about 3 MB, and for typical paths less than 1 MB, any server's limit."""

GONE_SECONDS = (0.1, 0.5, 2.0)
"""Delays before a rejected row is retried if the conflicting row has vanished, as after a rolled-back transaction."""

RETIRED = "@"
"""Separates the name of a removed version from its commit."""

MAX_VERSION = 100
"""Maximum length of the column ``version``, characters."""

Values = dict[str, Any]


def register(
    engine: Engine, version: VersionRecord, images: Iterable[ImageRecord], categories: Iterable[CategoryCount]
) -> bool:
    """See :meth:`sightline.database.Database.register_version`.

    The unique row of the version is written first, so that a concurrent writer waits there; the other rows are written
    in key order, so that two writers never deadlock.
    """
    category_rows = _category_rows(version.tag, categories)
    with ImageRows(version.tag, images) as image_rows:
        row = _version_row(version, image_rows.number)

        def work(connection: Connection) -> None:
            result = connection.execute(insert(VERSIONS).values(row | {"state": "pending"}))
            assert result.inserted_primary_key is not None  # noqa: S101
            version_id = result.inserted_primary_key[0]
            _insert(connection, IMAGES, version_id, COLUMNS, image_rows)
            _insert(connection, SPLIT_COUNTS, version_id, ("split", "images"), sorted(image_rows.splits.items()))
            _insert(connection, CATEGORY_COUNTS, version_id, CategoryCount.__slots__, category_rows)
            connection.execute(update(VERSIONS).where(VERSIONS.c.id == version_id).values(state="published"))

        for delay in (*GONE_SECONDS, None):
            try:
                write(engine, f"register {version.tag}", work)
            except IntegrityError as error:
                if _is_registered(engine, version):
                    return False
                if delay is None:
                    raise DatabaseError(f"cannot register {version.tag}: {error.orig}") from error
                time.sleep(delay)
            else:
                return True
    raise AssertionError  # unreachable: the last attempt returns or raises


def retire(engine: Engine, tag: str, commit: str) -> bool:
    """See :meth:`sightline.database.Database.retire_version`.

    The row keeps its images and counts, and its names become free: the commit is appended to both, which no tag can
    contain.
    """
    table = VERSIONS
    mark = f"{RETIRED}{commit[:12]}"

    def work(connection: Connection) -> bool:
        here = (table.c.tag == tag) & (table.c.commit == commit) & (table.c.state == "published")
        row = connection.execute(select(table.c.id, table.c.version).where(here)).one_or_none()
        if row is None:
            return False
        names = {"tag": f"{tag}{mark}", "version": f"{row.version[: MAX_VERSION - len(mark)]}{mark}"}
        connection.execute(update(table).where(table.c.id == row.id).values(state="removed", **names))
        return True

    return write(engine, f"mark {tag} as removed", work)


def removed_commit(connection: Connection, tag: str) -> str:
    """The commit of the last removed version with this tag; empty if there is none."""
    table = VERSIONS
    start = f"{tag}{RETIRED}"
    query = select(table.c.commit).where(table.c.tag >= start, table.c.tag < f"{start}g", table.c.state == "removed")
    return connection.scalar(query.order_by(table.c.id.desc()).limit(1)) or ""


def find(connection: Connection, *, dataset: str | None = None, tag: str | None = None) -> list[VersionRow]:
    """Published versions, all or by dataset or tag, in order of registration."""
    query = select(VERSIONS).where(VERSIONS.c.state == "published").order_by(VERSIONS.c.id)
    if dataset is not None:
        query = query.where(VERSIONS.c.dataset == dataset)
    if tag is not None:
        query = query.where(VERSIONS.c.tag == tag)
    return [version_row(row) for row in connection.execute(query)]


def categories(connection: Connection, tag: str) -> list[CategoryCount]:
    """The counts of the version with this tag."""
    table = CATEGORY_COUNTS
    query = (
        select(table.c.category, table.c.split, table.c.instances, table.c.images)
        .join(VERSIONS, VERSIONS.c.id == table.c.version_id)
        .where(VERSIONS.c.tag == tag)
        .order_by(table.c.category, table.c.split)
    )
    return [CategoryCount(*row) for row in connection.execute(query)]


def images(connection: Connection, tag: str, after: str) -> Sequence[tuple[str, ImageRecord]]:
    """The next :data:`CHUNK_ROWS` images of a version after a path's SHA-256, each with its path's SHA-256."""
    table = IMAGES
    columns = (table.c.split, table.c.path, table.c.sha256, table.c.size_bytes)
    query = (
        select(table.c.path_sha256, *columns, table.c.width, table.c.height, table.c.group_name)
        .join(VERSIONS, VERSIONS.c.id == table.c.version_id)
        .where(VERSIONS.c.tag == tag, table.c.path_sha256 > after)
        .order_by(table.c.path_sha256)
        .limit(CHUNK_ROWS)
    )
    return [(row[0], ImageRecord(*row[1:])) for row in connection.execute(query)]


def _insert(
    connection: Connection, table: Table, version_id: int, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Insert rows of text and integers, which need no conversion."""
    quoted = ", ".join(map(connection.dialect.identifier_preparer.quote, ["version_id", *columns]))
    statement = f"INSERT INTO {table.name} ({quoted}) VALUES "  # noqa: S608  (names of the schema, no values)
    remaining = iter(rows)
    if connection.dialect.name == "sqlite":
        one = f"({version_id:d}, {', '.join('?' * len(columns))})"
        while chunk := list(itertools.islice(remaining, CHUNK_ROWS)):
            connection.exec_driver_sql(statement + one, chunk)
        return
    numbers = [isinstance(table.c[column].type, Integer) for column in columns]
    one = f"({version_id:d}, {', '.join('%d' if number else '%%s' for number in numbers)})"
    while chunk := list(itertools.islice(remaining, STATEMENT_ROWS)):
        connection.exec_driver_sql(*_one_statement(statement, one, chunk, numbers))


def _one_statement(
    statement: str, one: str, rows: list[tuple[Any, ...]], numbers: list[bool]
) -> tuple[str, tuple[str, ...]]:
    """One statement with all rows and literal numbers: a third less work for PyMySQL than row by row."""
    texts = [not number for number in numbers]
    values = ", ".join([one % tuple(itertools.compress(row, numbers)) for row in rows])
    return statement + values, tuple(itertools.chain.from_iterable(itertools.compress(row, texts) for row in rows))


def _is_registered(engine: Engine, version: VersionRecord) -> bool:
    """Whether another writer registered the same version before; False if the conflicting row has vanished.

    Raises:
        VersionConflictError: The registered version has other contents.
    """
    table = VERSIONS
    names = (table.c.dataset == version.dataset) & (table.c.version == version.version) & (table.c.kind == version.kind)
    query = select(table).where(names | (table.c.tag == version.tag))
    found = read(engine, f"find {version.tag}", lambda connection: connection.execute(query).all())
    for row in found:
        if (row.tag, row.digest) != (version.tag, version.digest):
            raise VersionConflictError(
                f"{version.kind} {version.version} of dataset {version.dataset} (tag {version.tag}, digest "
                f"{version.digest}) cannot be registered: {row.kind} {row.version} of dataset {row.dataset} already "
                f"exists with tag {row.tag} and digest {row.digest}. A version never changes: publish the new "
                "contents as a new version"
            )
    return bool(found)


def _version_row(version: VersionRecord, number_of_images: int) -> Values:
    row = {name: getattr(version, name) for name in VersionRecord.__slots__}
    row |= {"state": "pending", "images": number_of_images, "created_at": datetime.now(UTC)}
    check_row(VERSIONS, row)
    for name in ("dataset", "version", "tag", "commit", "digest"):
        if not row[name]:
            raise DatabaseError(f"a version needs a {name}, but {version} has none")
    return row


def _category_rows(tag: str, categories: Iterable[CategoryCount]) -> list[tuple[Any, ...]]:
    rows: dict[tuple[str, str], tuple[Any, ...]] = {}
    for count in categories:
        key = (count.category, count.split)
        if key in rows:
            raise DatabaseError(
                f"cannot register {tag}: category {count.category} of split {count.split} is listed twice"
            )
        values = {name: getattr(count, name) for name in CategoryCount.__slots__}
        check_row(CATEGORY_COUNTS, values)
        rows[key] = tuple(values.values())
    return [rows[key] for key in sorted(rows)]


def version_row(row: Row[Any]) -> VersionRow:
    """Convert a row of dataset_versions to plain data."""
    record = VersionRecord(
        dataset=row.dataset,
        version=row.version,
        kind=cast(VersionKind, row.kind),
        tag=row.tag,
        commit=row.commit,
        digest=row.digest,
        parent_tag=row.parent_tag,
        configuration_digest=row.configuration_digest,
    )
    return VersionRow(record=record, images=row.images, created_at=row.created_at)
