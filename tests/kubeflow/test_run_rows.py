"""Rows of runs beside what Kubeflow says: put right where they differ, and left alone where tasks know better."""

from contextlib import closing

import pytest

from sightline.config.settings import embedded_or_own
from sightline.database import RunRecord, open_database
from sightline.kubeflow.runs.lookup import read_run
from sightline.kubeflow.runs.rows import note_resume, note_stop, put_right, stop_message, take_back_stop

RUN = "7d3c6a0e-9f3f-4a60-a2a2-0d7a34f5c111"


def kubeflow_says(state, *history):
    times = [{"state": each, "update_time": f"2026-11-28T06:4{minute}:00Z"} for minute, each in enumerate(history)]
    document = {"run_id": RUN, "display_name": "plates", "created_at": "2026-11-28T06:39:00Z", "state": state}
    return read_run(document | {"state_history": times})


SUCCEEDED = kubeflow_says("SUCCEEDED", "RUNNING", "SUCCEEDED")
FAILED = kubeflow_says("FAILED", "RUNNING", "CANCELING", "FAILED", "RUNNING", "FAILED")
STOPPED = kubeflow_says("FAILED", "RUNNING", "CANCELING", "FAILED")
RUNNING = kubeflow_says("RUNNING", "RUNNING")


@pytest.fixture
def row():
    """Reads the row of a run that was started; with a state, makes it say so first."""
    with closing(open_database(embedded_or_own("database", "url"))) as database:
        database.start_run(RunRecord(RUN, "plates", "{}", "a" * 64, "plates_ann_v1", "image"))

        def read(state="", message=""):
            if state:
                database.finish_run(RUN, state, message)
            return database.find_runs([RUN])[RUN]

        yield read


@pytest.mark.parametrize(
    ("known", "run", "state", "said"),
    [
        ("failed", SUCCEEDED, "succeeded", ""),
        ("stopped", SUCCEEDED, "succeeded", ""),
        ("running", FAILED, "failed", "without a message"),
        ("stopped", FAILED, "failed", "without a message"),  # stopped, resumed, and lost
        ("failed", STOPPED, "stopped", "stopped at 2026-11-28 06:41:00 UTC"),
        ("running", STOPPED, "stopped", "stopped at 2026-11-28 06:41:00 UTC"),
        ("failed", FAILED, "failed", "why"),
        ("stopped", STOPPED, "stopped", "why"),  # who is known already
        ("succeeded", FAILED, "succeeded", "why"),  # finish failed after it had closed the run
        ("failed", RUNNING, "failed", "why"),  # finish has closed it, or its first task is about to begin
    ],
)
def test_rows_are_put_right(row, known, run, state, said):
    row(known, "why")
    lines = put_right([run])
    now = row()
    assert now.state == state
    assert said in now.message if said else now.message == ""
    assert bool(lines) == (state != known)
    assert put_right([run]) == []


def test_a_stop_is_written_down_and_taken_back_where_kubeflow_refuses(row):
    assert note_stop(RUNNING)
    assert (row().state, row().message.split("@")[0][:11]) == ("stopped", "stopped by ")
    take_back_stop(RUNNING)
    assert (row().state, row().finished_at, row().message) == ("running", None, "")


def test_only_a_run_that_runs_is_noted_as_stopped(row):
    row("succeeded")
    assert not note_stop(RUNNING)
    assert row().state == "succeeded"


def test_a_resume_is_written_down(row):
    row("stopped", "by ada")
    note_resume(STOPPED)
    assert (row().state, row().finished_at) == ("running", None)


def test_a_database_that_is_not_there_is_left_alone(sightline_home):
    assert put_right([STOPPED]) == []
    assert not note_stop(RUNNING)
    assert list(sightline_home.iterdir()) == []


def test_a_stop_before_the_last_resume_does_not_count():
    assert stop_message(FAILED) == ""
    assert "06:41" in stop_message(STOPPED)
