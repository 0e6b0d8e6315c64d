"""Local runs that are interrupted or killed in any way: row, page and index say so, and the same command resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from sightline.database import open_database
from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.slow


class Begun:
    """A run that waits in record, which another process keeps from going on."""

    def __init__(self, world):
        self.world = world
        command = [
            sys.executable,
            str(ROOT / "pipeline.py"),
            *world.run_arguments("plates_ann_v1", "--steps", "record"),
        ]
        self.process = subprocess.Popen(
            command, env=world.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, preexec_fn=_hear_signals,  # noqa: PLW1509  (no threads here)
        )  # fmt: skip
        for line in self.process.stdout:
            if "record: plates_ann_v1" in line:
                break
        else:
            pytest.fail("record never began")
        self.run_id = world.runs()[-1]["run_id"]
        while "record" not in world.journal(self.run_id):
            time.sleep(0.05)
        self.task = world.journal(self.run_id)["record"]["pid"]

    def wait(self):
        output, _ = self.process.communicate(timeout=120)
        return output

    def __enter__(self):
        return self

    def __exit__(self, *fault):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.stdout.close()
        self.process.wait()


def _hear_signals():
    """Undo what nohup, or a shell that starts jobs in the background, told this process and its children to ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def told(world, run_id):
    """What row, page and index say of a run."""
    with closing(open_database(f"sqlite:///{world.home / 'sightline.sqlite'}")) as database:
        row = database.find_runs([run_id])[run_id]
    runs = world.home / "work" / "runs"
    page = (runs / run_id / "report" / "index.html").read_text()
    index = (runs / "index.html").read_text()
    return row, page, index


def ended(pid):
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def kill_parent(run):
    run.process.kill()


def interrupt_twice(run):
    os.killpg(run.process.pid, signal.SIGINT)
    time.sleep(0.2)
    os.killpg(run.process.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(run.process.pid, signal.SIGINT)


def terminate_parent(run):
    run.process.terminate()


def hang_up(run):
    os.killpg(run.process.pid, signal.SIGHUP)


@pytest.fixture
def slow_record(world):
    """Record takes long: whoever reads the remote is held up by a lock."""
    from sightline.data.workspace import Workspace
    from sightline.lock import exclusive_lock

    with exclusive_lock(Workspace("", world.home / "work").cache_lock, 5.0):
        yield


@pytest.mark.parametrize("interrupt", [kill_parent, interrupt_twice, terminate_parent, hang_up])
def test_an_interrupted_run_says_so_and_takes_its_task_along(world, slow_record, interrupt):
    with Begun(world) as run:
        interrupt(run)
        run.wait()
        assert ended(run.task)
    shown = json.loads(world.sightline("runs", "show", run.run_id, "--json"))
    assert shown["state"] == "interrupted"
    row, page, index = told(world, run.run_id)
    assert row.state == "interrupted"
    assert row.finished_at is not None
    assert ">interrupted<" in page
    assert ">running<" not in page
    assert ">running<" not in index


def test_a_killed_task_fails_its_run(world, slow_record):
    with Begun(world) as run:
        os.kill(run.task, signal.SIGKILL)
        output = run.wait()
    assert run.process.returncode == 1
    assert "record: its process is gone; run the same command to resume" in output
    row, page, _ = told(world, run.run_id)
    assert (row.state, ">running<" in page) == ("failed", False)


def test_the_same_command_resumes_and_earlier_runs_keep_their_states(world):
    before = {run["run_id"]: run["state"] for run in world.runs()}
    world.run("plates_ann_v1", "--steps", "record")
    runs = {run["run_id"]: run["state"] for run in world.runs()}
    assert runs == before | {max(runs): "succeeded"}
    journal = world.journal(max(runs))
    assert {step: entry["state"] for step, entry in journal.items()} == {
        "resolve": "succeeded", "record": "succeeded", "finish": "succeeded",
    }  # fmt: skip
    assert "running" not in before.values()
