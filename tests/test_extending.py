"""docs/extending.md, followed line by line in a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
COPIED = ("shared", "components", "examples", "tests", "pipeline.py", "pyproject.toml", "constraints.txt")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PLACE = re.compile(r"`([\w./]+\.\w+)`")


def sections():
    """Title -> text of every section."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def instructions(text):
    """What a section says to do, in order: (kind, file, lines); a block without a file belongs to the last one."""
    place, begin = "", 0
    for found in BLOCK.finditer(text):
        before = text[begin : found.start()]
        begin = found.end()
        named = re.findall(rf"(?:New file|In) {PLACE.pattern}", before)
        place = named[-1] if named else place
        kind = "change" if found[1] == "diff" else "try" if "Try it:" in before or found[1] == "" else "new"
        if kind == "new" and "New file" not in before:
            kind = "try"
        yield kind, place, found[1], found[2]


def change(path, lines):
    """Change a file as a diff without line numbers says: its place must be there once."""
    marked = [(line[:1] or " ", line[1:]) for line in lines.splitlines()]
    old = "".join(f"{line}\n" for mark, line in marked if mark != "+")
    new = "".join(f"{line}\n" for mark, line in marked if mark != "-")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} has {text.count(old)} places that read\n{old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the page changes."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def run(folder, *command):
    environment = os.environ | {
        "PYTHONPATH": f"{folder / 'shared'}{os.pathsep}{folder}",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("PYTEST_XDIST_WORKER", None)  # in the copy, this is a run of its own
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("title", [title for title in sections() if BLOCK.search(sections()[title])])
def test_the_page_works_as_it_stands(checkout, title):
    done = [kind for kind, *_ in instructions(sections()[title])]
    assert {"new", "change"} & set(done)
    assert "try" in done
    touched = set()
    for kind, place, language, lines in instructions(sections()[title]):
        if kind == "new":
            assert not (checkout / place).exists(), place
            (checkout / place).parent.mkdir(exist_ok=True)
            (checkout / place).write_text(lines, encoding="utf-8")
            touched.add(place)
        elif kind == "change":
            change(checkout / place, lines)
            touched.add(place)
        elif language == "python":
            run(checkout, sys.executable, "-c", lines)
        else:
            run(checkout, "bash", "-ec", lines)
    code = sorted(place for place in touched if place.endswith(".py") and not place.startswith("examples/"))
    if code:
        run(checkout, sys.executable, "-m", "ruff", "check", "--no-cache", *code)
        run(checkout, sys.executable, "-m", "ruff", "format", "--no-cache", "--check", *code)


def test_every_section_is_in_the_table_of_the_page():
    listed = re.findall(r"^\| \[([^\]]+)\]", PAGE, re.MULTILINE)
    assert [title.lower() for title in sections()] == [title.lower() for title in listed]


def test_a_place_that_moved_is_named(tmp_path):
    path = tmp_path / "table.py"
    path.write_text("A = 1\nB = 2\n")
    change(path, " A = 1\n-B = 2\n+B = 3\n")
    assert path.read_text() == "A = 1\nB = 3\n"
    with pytest.raises(AssertionError, match=r"table\.py has 0 places"):
        change(path, "-B = 2\n+B = 3\n")
