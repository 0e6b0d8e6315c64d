"""The golden files themselves: read as they are written, normalized, and without texts of tests that are gone."""

import re
from pathlib import Path

import pytest

from tests.golden import GOLDEN, compare, raises
from tests.golden.normal import ROOT, normal
from tests.golden.sections import read_sections, write_section

FILES = sorted(GOLDEN.glob("*.txt"))


def test_sections_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "area.txt"
    write_section(path, "tests/b.py::test_b", "two\n\nparagraphs")
    write_section(path, "tests/a.py::test_a[== x]", "one")
    write_section(path, "tests/b.py::test_b", "changed\n\n  indented")
    assert read_sections(path) == {"tests/a.py::test_a[== x]": "one", "tests/b.py::test_b": "changed\n\n  indented"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ROOT}/docs/x.md", "<checkout>/docs/x.md"),
        (f"revision {'0a' * 32}, digest {'1b' * 16}.dir", "revision <hex>, digest <hex>.dir"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:<port>/a"),
        ("run 20261121-090812-cd94 at 2026-11-21 09:08:12", "run <run> at <time>"),
        ("took more than 0.2 s", "took more than <n> s"),
        ("12 files, 4,000 pixels", "12 files, 4,000 pixels"),
    ],
)
def test_what_differs_from_run_to_run_is_replaced(text, expected):
    assert normal(text) == expected


def test_folders_of_tests_are_replaced(tmp_path):
    assert normal(f"cannot read {tmp_path}/a.json: missing") == "cannot read <tmp>/a.json: missing"


def test_another_wording_and_a_missing_token_fail(monkeypatch):
    monkeypatch.delenv("SIGHTLINE_GOLDEN", raising=False)
    with pytest.raises(AssertionError, match="SIGHTLINE_GOLDEN=update"):
        compare("a text that no golden file has")
    with pytest.raises(AssertionError, match=r"c\.json"), raises(ValueError, "c.json"):
        raise ValueError("no such file: a.json")


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_every_text_belongs_to_a_test_that_exists(path):
    stale = []
    for heading in read_sections(path):
        file, *names = re.sub(r"\[.*| #\d+$", "", heading).split("::")
        source = Path(ROOT, file).read_text(encoding="utf-8") if Path(ROOT, file).exists() else ""
        if not re.search(rf"def {names[-1]}\(", source):
            stale.append(heading)
    assert stale == []
