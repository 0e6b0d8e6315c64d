"""What a server refuses is one clear error at once; what passes by itself is waited for."""

from __future__ import annotations

import logging
import threading
import time
import traceback

import pytest
from sqlalchemy import make_url, text

from sightline.database import RunRecord, open_database
from sightline.database.engine import server
from sightline.database.engine.address import PASSWORD_VARIABLE, shown
from sightline.database.engine.connection import connect, read, write
from sightline.database.schema.upgrade import upgrade
from sightline.errors import DatabaseError
from tests.golden import raises
from tests.servers.mariadb import PASSWORD, new_database, own_server, wait_for

RUN = RunRecord("run-1", "plates", "{}", "a" * 64, "plates_ann_v1", "abc1234")


def changed(url, **parts):
    return shown(make_url(url).set(**parts))


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server whose settings tests may change: the URL of an upgraded database, and how to give it orders."""
    with own_server(tmp_path_factory.mktemp("faults")) as server_url:
        wait_for(server_url)
        with new_database(server_url) as url:
            engine = connect(url)
            upgrade(engine)

            def order(*statements):
                with engine.begin() as connection:
                    for statement in statements:
                        connection.execute(text(statement))

            yield url, order
            engine.dispose()


def wait_until(condition):
    for _ in range(3_000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("waited 30 s in vain")


def with_rights(own, name, rights):
    """The URL of a new user."""
    url, order = own
    order(
        f"CREATE OR REPLACE USER {name}@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT {rights} ON {make_url(url).database}.* TO {name}@'%'",
    )
    return changed(url, username=name)


@pytest.fixture
def at_once(caplog):
    """A check that a call is refused, without another attempt, and without showing a password."""

    def check(call, *tokens):
        caplog.set_level(logging.DEBUG)
        with raises(DatabaseError, *tokens) as caught:
            call()
        assert "waiting for the database" not in caplog.text
        everything = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(caught.value)
        assert "canary" not in everything
        return caught.value

    return check


def test_a_wrong_password(own, at_once, monkeypatch):
    monkeypatch.setenv(PASSWORD_VARIABLE, "canary-wrong-é€")
    at_once(lambda: open_database(own[0]), "mysql+pymysql://tester@", PASSWORD_VARIABLE)
    monkeypatch.delenv(PASSWORD_VARIABLE)
    at_once(lambda: open_database(own[0]), PASSWORD_VARIABLE)


def test_a_password_beyond_latin_1(own, monkeypatch):
    own[1]("CREATE OR REPLACE USER abroad@'%' IDENTIFIED BY 'canary-é€'", "GRANT ALL ON *.* TO abroad@'%'")
    monkeypatch.setenv(PASSWORD_VARIABLE, "canary-é€")
    open_database(changed(own[0], username="abroad")).close()


def test_a_kind_of_password_that_needs_a_package(own, at_once):
    own[1](
        "INSTALL SONAME 'auth_ed25519'", f"CREATE USER curve@'%' IDENTIFIED VIA ed25519 USING PASSWORD('{PASSWORD}')"
    )
    at_once(lambda: open_database(changed(own[0], username="curve")), "pynacl")


def test_an_unknown_database(own, at_once):
    url = changed(own[0], database="nowhere")
    at_once(lambda: open_database(url), "CREATE DATABASE nowhere")


def test_an_unknown_host(own, at_once):
    url = changed(own[0], host="no-such-host.invalid")
    at_once(lambda: open_database(url), "no-such-host.invalid")


def test_a_user_without_rights(own, at_once):
    own[1](f"CREATE OR REPLACE USER nobody@'%' IDENTIFIED BY '{PASSWORD}'")
    url = changed(own[0], username="nobody")
    name = make_url(url).database
    at_once(lambda: open_database(url), f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO 'nobody'@'%'")


def test_a_user_who_may_only_read(own, at_once):
    database = open_database(with_rights(own, "reader", "SELECT"))
    assert database.runs() == []
    at_once(lambda: database.start_run(RUN), "run-1", "GRANT SELECT, INSERT", "TO 'reader'")
    database.close()


def test_the_rights_that_are_said_to_be_enough(own):
    url, order = own
    database = open_database(with_rights(own, "worker", "SELECT, INSERT, UPDATE, DELETE"))
    database.start_run(RUN)
    database.close()
    order("CREATE OR REPLACE DATABASE fresh")
    url = with_rights((changed(url, database="fresh"), order), "owner", "SELECT, INSERT, UPDATE, DELETE")
    with raises(DatabaseError, "CREATE", "ALTER", "INDEX", "DROP", "REFERENCES"):
        upgrade(connect(url))
    order("GRANT CREATE, ALTER, INDEX, DROP, REFERENCES ON fresh.* TO owner@'%'")
    upgrade(connect(url))
    open_database(url).close()


def test_a_server_that_only_reads(own, at_once):
    database = open_database(with_rights(own, "writer", "ALL"))
    own[1]("SET GLOBAL read_only = 1")
    try:
        at_once(lambda: database.start_run(RUN), "read-only")
    finally:
        own[1]("SET GLOBAL read_only = 0")
    database.close()


def test_a_server_that_is_too_old(own, at_once, monkeypatch):
    monkeypatch.setattr(server, "OLDEST", {"MySQL": (8, 0), "MariaDB": (99, 0)})
    at_once(lambda: open_database(own[0]), "MariaDB 99.0")


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("5.5.5-10.11.6-MariaDB-0+deb12u1", "MariaDB"),
        ("11.8.2-MariaDB-ubu2404", "MariaDB"),
        ("8.0.36", "MySQL"),
        ("8.4.3-google", "MySQL"),
        ("9.1.0-log", "MySQL"),
        ("5.7.44-log", None),
        ("5.5.5-10.5.29-MariaDB", None),
        ("nonsense", None),
    ],
)
def test_versions_of_servers(version, kind):
    url = make_url("mysql+pymysql://user@host/name")
    if kind is None:
        with raises(DatabaseError, "//user@host/name"):
            server._require_version(url, version)
    else:
        assert server._require_version(url, version) == kind


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("statement_timeout=0", "statement_timeout: '0'"),
        ("statement_timeout=1.5", "statement_timeout: '1.5'"),
        ("connect_timeout=99999999999999", "connect_timeout: '99999999999999'"),
        ("pool_size=x", "pool_size: 'x'"),
        ("pool_size=1&pool_size=2", "pool_size"),
        ("charset=latin1", "charset"),
        ("password=canary", "password"),
    ],
)
def test_options_of_the_url_that_do_not_fit(query, message, at_once):
    at_once(lambda: connect(f"mysql://user@host/name?{query}"), "mysql+pymysql://user@host/name", message)


@pytest.mark.parametrize(
    "url", ["mysql://user:canary@host/name", "mysql://user:can/ary@host/n", "mysql://u:canary/x:y@h/n"]
)
def test_a_password_in_the_url_is_refused_and_not_shown(url, at_once):
    at_once(lambda: connect(url))


def test_every_limit_is_set(own):
    engine = connect(changed(own[0], query={"statement_timeout": "7", "pool_size": "2"}))
    names = ("max_statement_time", "wait_timeout", "lock_wait_timeout", "innodb_lock_wait_timeout", "sql_mode")
    values = read(
        engine, "ask", lambda connection: [connection.scalar(text(f"SELECT @@session.{name}")) for name in names]
    )
    assert values == [7.0, 60, 6, 6, values[-1]]
    assert "STRICT_ALL_TABLES" in values[-1]
    assert engine.pool.size() == 2
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert (driver._read_timeout, driver._write_timeout, driver.connect_timeout) == (22, 22, 10)
    engine.dispose()


def test_a_statement_that_takes_too_long(own, at_once):
    engine = connect(changed(own[0], query={"statement_timeout": "2"}))
    slow = text("SELECT count(*) FROM seq_1_to_100000 a, seq_1_to_100000 b")
    at_once(lambda: read(engine, "count", lambda connection: connection.scalar(slow)), "?statement_timeout=SECONDS")
    engine.dispose()


def test_a_lock_that_is_held_longer_than_a_statement_waits(own, caplog):
    url, _ = own
    database = open_database(changed(url, query={"statement_timeout": "2"}))
    database.start_run(RUN)
    holder = connect(url)
    with holder.begin() as connection:
        connection.execute(text("UPDATE runs SET message = 'held' WHERE run_id = 'run-1'"))
        thread = threading.Thread(target=database.finish_run, args=("run-1", "succeeded"))
        thread.start()
        wait_until(lambda: "Lock wait timeout" in caplog.text)
    thread.join(timeout=30)
    assert database.runs()[0].state == "succeeded"
    holder.dispose()
    database.close()


@pytest.mark.parametrize("kill", ["KILL", "KILL QUERY"])
def test_a_statement_or_connection_that_is_killed(own, caplog, monkeypatch, kill):
    url, order = own
    engine, attempts = connect(url), []

    def work(connection):
        attempts.append(connection.scalar(text("SELECT connection_id()")))
        if len(attempts) == 1:
            killer = threading.Timer(0.2, order, (f"{kill} {attempts[0]}",))
            killer.start()
            connection.execute(text("SELECT count(*) FROM seq_1_to_100000 a, seq_1_to_100000 b"))
        return "done"

    assert write(engine, "count", work) == "done"
    assert len(attempts) == 2
    engine.dispose()


def test_too_many_connections(own, caplog):
    order = own[1]
    crowded = with_rights(own, "crowd", "ALL")
    order("ALTER USER crowd@'%' WITH MAX_USER_CONNECTIONS 1")
    database, guest = open_database(crowded), connect(crowded)
    database.close()
    with guest.connect():
        thread = threading.Thread(target=database.runs)
        thread.start()
        wait_until(lambda: "max_user_connections" in caplog.text)
    guest.dispose()
    thread.join(timeout=30)
    assert not thread.is_alive()
    database.close()


def test_a_row_that_changed_since_the_transaction_began(own, caplog):
    """As MariaDB does from 11.6 on by default."""
    url, _ = own
    engine, attempts = connect(url), []
    database = open_database(url)
    database.start_run(RUN)

    def work(connection):
        attempts.append(1)
        connection.execute(text("SET SESSION innodb_snapshot_isolation = ON"))
        connection.execute(text("SELECT * FROM runs")).all()
        if len(attempts) == 1:
            database.finish_run("run-1", "failed", "from aside")
        connection.execute(text("UPDATE runs SET message = concat(message, '!') WHERE run_id = 'run-1'"))

    write(engine, "change", work)
    assert (len(attempts), database.runs()[0].message) == (2, "from aside!")
    assert "Record has changed since last read" in caplog.text
    engine.dispose()
    database.close()
