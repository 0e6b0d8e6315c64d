"""What can be said about MySQL 8 where only a MariaDB is at hand: nothing is sent that only MariaDB knows."""

from __future__ import annotations

import pytest
from pymysql import _auth
from sqlalchemy import create_mock_engine

from sightline.database.engine import server
from sightline.database.schema.tables import METADATA

ONLY_MARIADB = (" UUID", " INET4", " INET6", "CREATE SEQUENCE", "SYSTEM VERSIONING")


def test_the_tables_in_the_words_of_mysql():
    statements = []
    engine = create_mock_engine(
        "mysql+pymysql://", lambda sql, *_: statements.append(str(sql.compile(dialect=engine.dialect)))
    )
    METADATA.create_all(engine, checkfirst=False)
    tables = [statement for statement in statements if "CREATE TABLE" in statement]
    assert len(tables) == len(METADATA.tables)
    for statement in tables:
        assert "ENGINE=InnoDB" in statement
        assert "CHARSET=utf8mb4" in statement
        assert not any(word in statement.upper() for word in ONLY_MARIADB)
        for line in statement.splitlines():
            if "VARCHAR" in line:
                assert "COLLATE utf8mb4_bin" in line


def test_keys_fit_into_an_index_of_innodb():
    """3,072 bytes, 4 for a character."""
    for table in METADATA.tables.values():
        for key in [table.primary_key, *table.indexes, *(one for one in table.constraints if hasattr(one, "columns"))]:
            cut = key.dialect_options["mysql"].get("length") or {}
            lengths = [cut.get(column.name) or getattr(column.type, "length", None) or 2 for column in key.columns]
            assert 4 * sum(lengths) <= 3_072, key


@pytest.mark.parametrize(
    ("kind", "stop"), [("MySQL", {"max_execution_time": 60_000}), ("MariaDB", {"max_statement_time": 60})]
)
def test_limits_by_kind_of_server(kind, stop):
    rest = {"wait_timeout": 60, "lock_wait_timeout": 50, "innodb_lock_wait_timeout": 50}
    assert server._limits(kind, 60) == rest | stop
    assert server._limits(kind, 5)["lock_wait_timeout"] == 4
    assert server._limits(kind, 7_200)["wait_timeout"] == 7_200


def test_the_kind_of_password_that_mysql_8_uses_by_default():
    """``caching_sha2_password`` over a plain connection needs ``cryptography``, which the extra ``mysql`` brings."""
    assert _auth._have_cryptography
