"""Whole texts that users read, kept in one file per area, so that a test names an error's class and not its prose.

``raises(StorageError, "bucket/a")`` is ``pytest.raises`` that also checks that the message contains each token (a
file name, key or value that the user must see), and compares the whole message with the section of the running test
in ``tests/golden/<area>.txt``.  ``compare(text)`` does the same for any other text, such as the help of a command.

After a change of wording, write the files again and read the difference::

    SIGHTLINE_GOLDEN=update .venv/bin/python -m pytest tests/storage
    git diff tests/golden
"""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.golden.normal import normal
from tests.golden.sections import read_sections, write_section

GOLDEN = Path(__file__).parent
UPDATE = "SIGHTLINE_GOLDEN"
_seen: dict[str, int] = {}
"""How many texts each test has compared; a test that compares several numbers them."""
_changed: list[tuple[Path, str, str]] = []
"""Texts of the running test for :func:`write_changed`: a test may break the disk while it runs."""


@contextmanager
def raises(error, *tokens):
    """Expect this class of error, with these tokens in its message and the message of the golden file."""
    with pytest.raises(error) as caught:
        yield caught
    message = str(caught.value)
    for token in tokens:
        assert str(token) in message, f"{token!r} is not in the message: {message}"
    compare(f"{caught.type.__name__}: {message}")


def compare(text):
    """Compare a text with the section of the running test; write the section where SIGHTLINE_GOLDEN is 'update'."""
    path, heading = _section()
    text = normal(text)
    if os.environ.get(UPDATE) == "update":
        assert "PYTEST_XDIST_WORKER" not in os.environ, "update golden files with one process: leave out -n"
        _changed.append((path, heading, text))
    else:
        folder = heading.partition("::")[0]
        hint = f"if the new wording is meant: {UPDATE}=update python -m pytest '{folder}'"
        assert text == read_sections(path).get(heading, ""), f"{heading} in {path}; {hint}"


def write_changed():
    """Write the texts of a test that has ended, where SIGHTLINE_GOLDEN is 'update'."""
    while _changed:
        write_section(*_changed.pop())


def _section():
    """The golden file and the heading for the next text of the running test."""
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
    folders = Path(test.partition("::")[0]).parts[1:-1]
    _seen[test] = _seen.get(test, 0) + 1
    number = f" #{_seen[test]}" if _seen[test] > 1 else ""
    return GOLDEN / f"{'.'.join(folders) or 'tests'}.txt", f"{test}{number}"
