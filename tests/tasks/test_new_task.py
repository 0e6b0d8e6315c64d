"""A task that has neither boxes nor masks, written from docs/extending.md alone, goes through the whole pipeline."""

import sys

import pytest

from tests.test_extending import change, checkout, instructions, run, sections

__all__ = ["checkout"]


@pytest.mark.slow
def test_the_task_of_the_page_runs_the_whole_pipeline(checkout, tmp_path):
    for kind, place, _, lines in instructions(sections()["A task"]):
        if kind == "new":
            (checkout / place).parent.mkdir(exist_ok=True)
            (checkout / place).write_text(lines, encoding="utf-8")
        elif kind == "change":
            change(checkout / place, lines)
    run(checkout, sys.executable, "-m", "tests.presence_pipeline", str(tmp_path / "places"))
