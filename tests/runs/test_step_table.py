"""One table of the tasks of a run; whoever cannot read it agrees with it."""

from typing import get_args

import pipeline
from components import catalogue
from components.resolve.component import resolve
from sightline.code import reach
from sightline.config.digest import StepName
from sightline.database.queries import run_data
from sightline.registry.results import RESULTS
from sightline.registry.store import STEP_OF
from sightline.runs.step_table import BY_NAME, STEPS
from sightline.steps import task


def test_every_task_is_in_the_table_once():
    assert tuple(BY_NAME) == catalogue.NAMES
    assert {name.removeprefix("run_") for name in vars(task) if name.startswith("run_")} == set(BY_NAME) - {"finish"}


def test_the_steps_that_leave_a_result_are_the_same_everywhere():
    assert pipeline.STEPS == STEPS
    assert resolve.component_spec.inputs["steps"].default == ",".join(STEPS)
    assert get_args(StepName) == reach.STEPS == STEPS
    assert tuple(STEP_OF.values()) == STEPS
    assert tuple(kind.title for kind in RESULTS.values()) == tuple(f"result of {name}" for name in STEPS)


def test_the_database_tells_the_tasks_before_the_data_from_those_after():
    """It may not read the table, for then a new title would train again."""
    before, after = run_data._WITHOUT_DATA, run_data._WITH_DATA
    assert before | after == set(BY_NAME)
    assert not before & after


def test_no_key_depends_on_the_table():
    for step in STEPS:
        assert not [
            path for path in reach.step_reach(step).files if path.endswith(("step_table.py", "runs/journal.py"))
        ]
