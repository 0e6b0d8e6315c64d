"""Both engines for every database test: SQLite, and a MariaDB of our own."""

from __future__ import annotations

import pytest

from sightline.database import open_database
from sightline.database.engine.connection import connect
from sightline.database.schema.tables import METADATA
from sightline.database.schema.upgrade import upgrade
from tests.servers.mariadb import new_database


@pytest.fixture(params=["sqlite", "mariadb"])
def empty_url(request, tmp_path):
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/database/sightline.sqlite"
        return
    with new_database(request.getfixturevalue("mariadb_server")) as url:
        yield url


@pytest.fixture
def own_url(empty_url):
    """A database at the schema of this code, which the test may change."""
    engine = connect(empty_url)
    upgrade(engine)
    engine.dispose()
    return empty_url


@pytest.fixture(scope="session")
def mariadb_database(mariadb_server):
    with new_database(mariadb_server) as url:
        engine = connect(url)
        upgrade(engine)
        yield url, engine
        engine.dispose()


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request, tmp_path):
    """A database with empty tables, whose schema the test leaves alone."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/database/sightline.sqlite"
        return
    url, engine = request.getfixturevalue("mariadb_database")
    yield url
    empty_tables(engine)


def empty_tables(engine):
    with engine.begin() as connection:
        for table in reversed(METADATA.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def database(url):
    database = open_database(url)
    yield database
    database.close()
