"""A MariaDB of our own, on a private folder and port, for every test that needs a server."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
import uuid

import pytest
from sqlalchemy import text

from sightline.database.engine.address import PASSWORD_VARIABLE, shown
from sightline.database.engine.connection import connect

PASSWORD = "canary-b2f1c0"


def absent(reason):
    """Skip, or fail where this run must not be without MariaDB."""
    if "mariadb" in os.environ.get("SIGHTLINE_REQUIRE", "").split(","):
        pytest.fail(f"SIGHTLINE_REQUIRE names mariadb, but {reason}")
    pytest.skip(reason)


_with_password = contextlib.ExitStack()
_running = []
"""Servers of ours in this process."""


@contextlib.contextmanager
def _password_in_environment():
    """The password is in the environment while any server of ours runs: one that ends must not take it from others."""
    if not _running:
        _with_password.enter_context(pytest.MonkeyPatch.context()).setenv(PASSWORD_VARIABLE, PASSWORD)
    _running.append(object())
    try:
        yield
    finally:
        _running.pop()
        if not _running:
            _with_password.close()


@contextlib.contextmanager
def own_server(folder, *more_options, address="127.0.0.1"):
    """A server on an empty folder; its URL, with the password in the environment.

    It may not answer yet, see :func:`wait_for`.
    """
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    server, install = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    if server is None or install is None:
        absent("no mariadbd on PATH and no SIGHTLINE_TEST_MARIADB_URL")
    user = f"--user={getpass.getuser()}"
    data = ["--no-defaults", f"--datadir={folder / 'data'}", user]
    subprocess.run([install, *data, "--skip-test-db"], check=True, capture_output=True, timeout=120)
    (folder / "init.sql").write_text(
        f"CREATE USER tester@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO tester@'%' WITH GRANT OPTION;\n"
    )
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    options = [
        f"--port={port}",
        f"--bind-address={address}",
        f"--socket={folder / 's'}",
        f"--pid-file={folder / 'pid'}",
    ]
    options += [f"--init-file={folder / 'init.sql'}", "--skip-name-resolve", "--innodb-buffer-pool-size=64M"]
    (folder / "tmp").mkdir()
    options += [f"--tmpdir={folder / 'tmp'}"]  # a server that starts removes what others keep in a shared one
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([server, *data, *options, *more_options], stdout=log, stderr=log)
    try:
        with _password_in_environment():
            yield f"mysql+pymysql://tester@{address}:{port}/mysql"
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_for(url):
    engine = connect(url)
    for _ in range(300):
        with contextlib.suppress(Exception), engine.connect():
            engine.dispose()
            return
        time.sleep(0.1)
    pytest.fail(f"{url} does not answer")


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory):
    """URL of a server on which databases may be created; the password is in the environment.

    One of your own, MySQL or MariaDB, may be named in SIGHTLINE_TEST_MARIADB_URL.
    """
    given = os.environ.get("SIGHTLINE_TEST_MARIADB_URL")
    if given:
        yield given
        return
    with own_server(tmp_path_factory.mktemp("mariadb")) as url:
        wait_for(url)
        yield url


@contextlib.contextmanager
def new_database(server_url):
    server = connect(server_url)
    name = f"test_{uuid.uuid4().hex[:12]}"
    with server.begin() as connection:
        connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET latin1"))
    yield shown(server.url.set(database=name))
    with server.begin() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    server.dispose()
