"""sightline gc: what it prints, what it removes, and what it refuses."""

from __future__ import annotations

import json
import os
import time

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from sightline.database import open_database
from sightline.errors import ConfigurationError, DatabaseError
from tests.golden import raises

KEY = "0123456789abcdef"


@pytest.fixture
def home(sightline_home, monkeypatch, tmp_path):
    """Embedded defaults with an empty database, and two pieces of garbage."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    open_database(f"sqlite:///{sightline_home / 'sightline.sqlite'}").close()
    old(sightline_home / "bucket/results/train/plates_train_v1" / KEY / "best.safetensors", b"x" * 1_500_000)
    for number in range(25):
        old(sightline_home / "work/runs" / f".{number:02}.part", b"half")
    return sightline_home


def old(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (time.time() - 12 * 86400,) * 2)


def run(*arguments):
    return CliRunner().invoke(cli, ["gc", *arguments], catch_exceptions=False)


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_without_yes_it_only_looks(home, options):
    output = run(*options).output
    assert output == (
        "result: 1, 1 files, 2 MB\n"
        f"       2 MB    12 d  results/train/plates_train_v1/{KEY}\n"
        "                     its result.json was never written\n"
        "temporary: 25, 25 files, 100 B\n"
        + "".join(
            f"        4 B    12 d  {home}/work/runs/.{number:02}.part\n"
            "                     left by a process that was killed\n"
            for number in range(20)
        )
        + "  and 5 more (--json lists all)\n"
        "2 MB in 26 entries; nothing was removed: add --yes to remove them\n"
    )
    assert len(list(home.glob("work/runs/*"))) == 25


def test_with_yes_it_is_gone(home):
    assert run("--yes").output.endswith("2 MB in 26 entries removed\n")
    assert not list((home / "work/runs").iterdir())
    assert not (home / "bucket/results").exists()
    assert run("--yes").output == "nothing to remove\n"
    assert run().output == "nothing to remove\n"


def test_json_has_all_of_it(home):
    document = json.loads(run("--json").output)
    assert document["deleting"] is False
    assert document["totals"] == {
        "result": {"entries": 1, "files": 1, "size_bytes": 1_500_000},
        "temporary": {"entries": 25, "files": 25, "size_bytes": 100},
    }
    assert [entry["removed"] for entry in document["garbage"]] == [False] * 26
    assert all(entry["removed"] for entry in json.loads(run("--json", "--yes").output)["garbage"])


@pytest.mark.parametrize(("age", "entries"), [("11d", 26), ("13d", 0), ("280h", 26), ("300h", 0)])
def test_the_safety_age(home, age, entries):
    assert (f"in {entries} entries" if entries else "nothing to remove") in run("--older-than", age).output


@pytest.mark.parametrize("age", ["7", "d", "-7d", "7 d", "1w", "1.5d", "999999999d"])
def test_an_age_that_is_none(home, age):
    result = run("--older-than", age)
    assert result.exit_code == 2
    assert "is not an age; expected hours or days, such as 36h or 7d" in result.output


def test_what_is_refused(home):
    with raises(ConfigurationError, "0:00:00", "1:00:00"):
        run("--older-than", "0h")
    result = run("--yes", "--dry-run")
    assert (result.exit_code, "--dry-run and --yes" in result.output) == (2, True)
    (home / "sightline.sqlite").unlink()
    with raises(DatabaseError):
        run("--yes")
    assert len(list(home.glob("work/runs/*"))) == 25
