"""sightline db: upgrade, current, check."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from sightline.cli import cli
from sightline.database.engine.connection import connect
from sightline.database.schema.upgrade import head_revision
from sightline.errors import ConfigurationError, DatabaseError


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/x.sqlite"


def run(*arguments):
    return CliRunner().invoke(cli, ["db", *arguments], catch_exceptions=False).output


def test_upgrade_current_check(url):
    head = head_revision()
    with pytest.raises(DatabaseError, match="there is no database"):
        run("current", "--url", url)
    assert run("upgrade", "--url", url) == f"{url}: schema none -> {head}\n"
    assert run("upgrade", "--url", url) == f"{url}: schema {head} -> {head}\n"
    assert run("current", "--url", url) == f"{url}: schema {head}, expected {head}\n"
    assert run("check", "--url", url) == f"{url}: schema {head}, all tables as expected\n"


def test_the_url_may_come_from_the_configuration(url, tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_HOME", str(tmp_path / "home"))
    assert run("upgrade", "--set", f"database.url={url}").startswith(url)
    assert f"{tmp_path}/home/sightline.sqlite" in run("upgrade", "--recipe", "plates")
    with pytest.raises(ConfigurationError, match="no recipe called"):
        run("upgrade", "--recipe", "none")


def test_check_names_what_was_changed_by_hand(url):
    run("upgrade", "--url", url)
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE metrics"))
    engine.dispose()
    with pytest.raises(DatabaseError, match=r"changed by hand; undo this:\n  \('add_table', .*metrics"):
        run("check", "--url", url)
