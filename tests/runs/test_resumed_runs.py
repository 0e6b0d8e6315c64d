"""Runs of Kubeflow that failed, were stopped or lost pods, and were resumed: they end as one that was left alone.

Kubeflow keeps what has ended when a run is resumed, finish too.  Each story lists the tasks in the order in which their
pods run; what is behind ``|`` happens after somebody resumed the run.
"""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from sightline.config.digest import config_digest
from sightline.database import open_database
from sightline.errors import StepError
from sightline.registry import results
from sightline.registry.store import folder_key, publish_result, to_json
from sightline.runs import kubeflow_run
from sightline.runs.folder import run_folder
from sightline.runs.journal import read_journal
from sightline.steps import task
from sightline.storage import open_storage

RUN = "7d3c6a0e-9f3f-4a60-a2a2-0d7a34f5c111"
TAG, TRAINED_ON = "plates_ann_v1", "plates_train_v1"
SELECTED = "d" * 64


class Pods:
    """The pods of one run, one after the other; a name with ``!`` fails, with ``~`` is lost, with ``-`` is cached."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = None
        self.messages = []

    def play(self, story):
        for name in story.split():
            if name != "|":
                self.pod(name)

    def pod(self, name):
        step, fate = re.fullmatch(r"(\w+)(\W*)", name).groups()
        if step == "resolve":
            self.config = task.run_resolve("plates", "", TAG, "", steps="record,train,evaluate,test").config
        elif step == "finish":
            self.finish(failed=fate == "!")
        elif fate == "-":
            self.publish(getattr(self, step)())
        elif fate == "!":
            with pytest.raises(StepError):
                self.run(step, fails=True)
        else:
            self.run(step)
        if fate == "~":  # as a pod leaves its entry that is killed
            path = run_folder(self.home / "work", RUN) / "tasks" / f"{step}.json"
            entry = json.loads(path.read_text())
            path.write_text(json.dumps({**entry, "state": "running", "host": "gone", "result": ""}))

    def run(self, step, *, fails=False):
        def work(config, storage, entry):
            if fails:
                raise StepError("disk full")
            entry.result = to_json(getattr(self, step)()) if hasattr(self, step) else ""
            return task.Finished(entry.result)

        return task._task(step, self.config.model_dump_json(), "image", work)

    def finish(self, *, failed, stopped=""):
        copy = str(self.home / "page" / "out")
        kubeflow_run.close_run("plates", "", TAG, failed=failed, copy_to=copy, stopped=lambda: stopped)

    def evaluate(self):
        selection = results.Selection("EIR", "file:///m", SELECTED, "best", 0.9, "", True, "the first")
        scored = results.ScoredModel("best", "file:///m", SELECTED, TRAINED_ON, {"EIR": 0.9})
        return results.EvaluateResult(TRAINED_ON, [scored], [selection], self.place("evaluate"), 1.0)

    def test(self, sha256=SELECTED):
        model = results.TestedModel("EIR", "file:///m", sha256, {"EIR": 0.8}, 10.0, "")
        return results.TestResult(TRAINED_ON, 1, 0, [model], self.place("test"), 1.0)

    def place(self, step):
        return open_storage(self.config.storage.uri).uri_of(folder_key(step, TRAINED_ON, "k"))

    def publish(self, result):
        files = self.home / "files"
        files.mkdir(exist_ok=True)
        digest = config_digest("test", self.config)
        storage = open_storage(self.config.storage.uri)
        publish_result(storage, result, TRAINED_ON, "k", files=files, config_digest=digest)

    @property
    def row(self):
        with closing(open_database(self.config.database.url)) as database:
            (row,) = database.runs()
        return row

    def page(self, path="runs/index.html"):
        """A page without times and places."""
        text = (self.home / "work" / path).read_text().replace(str(self.home), "HOME")
        text = re.sub(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?", "TIME", text)
        text = re.sub(r"tmp\w{8}|=\"[\d.]+\">", "", text)  # scratch folders, and what the page sorts by
        return re.sub(r"\d+(\.\d+)? (s|min|ms)\b", "DURATION", text)


QUIET = "resolve record train evaluate promote test finish"


@pytest.fixture
def pods(tmp_path, monkeypatch):
    """Makes the pods of a run in a home of their own; what the webhook is told is kept in ``messages``."""
    monkeypatch.setenv("SIGHTLINE_RUN_ID", RUN)

    def made(name):
        monkeypatch.setenv("SIGHTLINE_HOME", str(tmp_path / name))
        run = Pods(tmp_path / name)
        monkeypatch.setattr(kubeflow_run, "notify", run.messages.append)
        return run

    return made


def ends(run):
    """The states that the webhook was told of, in turn."""
    return [re.match(rf"Sightline run {RUN} on {TAG} ([^:]+):", message)[1] for message in run.messages]


AGAIN = "succeeded after it was resumed"


@pytest.mark.parametrize(
    ("story", "told"),
    [
        ("resolve record train! finish! | train evaluate promote test", ["failed", AGAIN]),
        ("resolve record! finish! | record train evaluate promote test", ["failed", AGAIN]),
        ("resolve record train evaluate! finish! | evaluate test promote", ["failed", AGAIN]),
        ("resolve record train evaluate promote! test finish! | promote", ["failed", AGAIN]),
        ("resolve record train evaluate promote test! finish! | test", ["failed", AGAIN]),
        ("resolve record train evaluate promote! test! finish! | promote test", ["failed", AGAIN]),
        ("resolve record train evaluate promote! test! finish! | test promote", ["failed", AGAIN]),
        ("resolve record train~ finish | train evaluate promote test", ["failed", AGAIN]),
        ("resolve record train evaluate promote~ test~ finish | test promote", ["failed", AGAIN]),
        # a container that fails is started again by Kubeflow: no end
        ("resolve record train! finish! | train! train evaluate promote test", ["failed", AGAIN]),
        # resumed twice
        (
            "resolve record train! finish! | train! train! train! train! | train evaluate promote test",
            ["failed", "failed after it was resumed", AGAIN],
        ),
        # lost in the second life: nobody can say so, and the third one closes it
        ("resolve record train! finish! | train~ | train evaluate promote test", ["failed", AGAIN]),
        # a finish that runs although the run was closed already, because it failed before
        ("resolve record train! finish! | train evaluate promote test finish!", ["failed", AGAIN]),
    ],
)
def test_a_resumed_run_ends_as_one_that_was_left_alone(pods, story, told):
    quiet = pods("quiet")
    quiet.play(QUIET)
    resumed = pods("resumed")
    resumed.play(story)
    assert ends(quiet) == ["succeeded"]
    assert ends(resumed) == told
    assert (resumed.row.state, resumed.row.message) == ("succeeded", "") == (quiet.row.state, quiet.row.message)
    for path in ("runs/index.html", f"runs/{RUN}/report/index.html"):
        assert resumed.page(path) == quiet.page(path)
    copy = resumed.home / "bucket" / "runs" / RUN / "index.html"
    assert ">succeeded<" in copy.read_text()
    assert ">failed<" not in copy.read_text()


def test_a_resumed_run_is_running_until_its_last_task_ends(pods):
    run = pods("home")
    run.play("resolve record train! finish! | train evaluate")
    assert run.row.state == "running"
    assert run.row.finished_at is None
    assert ">running<" in (run.home / "bucket" / "runs" / RUN / "index.html").read_text()
    run.play("promote")
    assert run.row.state == "running"
    run.play("test")
    assert run.row.state == "succeeded"


@pytest.mark.parametrize("story", ["promote! test- finish! | promote", "promote! finish! | test- promote"])
def test_a_test_from_the_cache_closes_no_run_but_is_counted(pods, story):
    run = pods("home")
    run.play(f"resolve record train evaluate {story}")
    assert run.row.state == "succeeded"
    assert read_journal(run.home / "work", RUN)["test"].state == "reused"


def test_a_test_of_other_models_is_not_taken_for_this_one(pods):
    run = pods("home")
    run.play("resolve record train evaluate promote! finish! |")
    run.publish(run.test("e" * 64))
    run.play("promote")
    assert run.row.state == "running"


def test_a_run_that_fails_again_says_so(pods):
    run = pods("home")
    run.play("resolve record train evaluate promote! test finish! | promote! promote! promote!")
    assert (run.row.state, run.row.message) == ("failed", "promote: disk full")
    assert ends(run) == ["failed", "failed after it was resumed"]


def test_a_finish_that_failed_closes_the_run_when_it_runs_again(pods):
    run = pods("home")
    run.play("resolve record train evaluate promote test")
    page = run.home / "page"
    page.write_text("no folder")
    with pytest.raises(OSError, match="page"):
        run.finish(failed=False)
    assert read_journal(run.home / "work", RUN)["finish"].state == "failed"
    page.unlink()
    run.finish(failed=True)
    assert run.row.state == "succeeded"
    assert ends(run) == ["succeeded"]
    assert read_journal(run.home / "work", RUN)["finish"].state == "succeeded"


def test_a_run_that_resolve_began_only_when_it_was_resumed(pods):
    run = pods("home")
    with pytest.raises(StepError):
        run.finish(failed=True)
    run.play("| resolve record train evaluate promote test finish!")
    assert run.row.state == "succeeded"


WHO = "stopped by ada@laptop at 2026-11-28 06:40:00 UTC"


@pytest.mark.parametrize("noted", [True, False])
def test_a_run_that_was_stopped_says_so_until_it_is_resumed(pods, noted):
    run = pods("home")
    run.play("resolve record train~")
    if noted:  # by our command, before it terminates; else Kubeflow is asked
        with closing(open_database(run.config.database.url)) as database:
            assert database.correct_run(RUN, "running", "stopped", WHO)
    run.finish(failed=False, stopped="" if noted else WHO)
    assert (run.row.state, run.row.message) == ("stopped", WHO)
    assert ends(run) == ["stopped"]
    assert WHO in run.page(f"runs/{RUN}/report/index.html").replace("TIME", "2026-11-28 06:40:00")
    run.play("train evaluate promote test")
    assert (run.row.state, run.row.message) == ("succeeded", "")
    assert ends(run) == ["stopped", AGAIN]


def test_a_run_whose_tasks_were_done_when_it_was_stopped_is_a_success(pods):
    run = pods("home")
    run.play("resolve record train evaluate promote test")
    with closing(open_database(run.config.database.url)) as database:
        database.correct_run(RUN, "running", "stopped", WHO)
    run.finish(failed=False)
    assert (run.row.state, run.row.message) == ("succeeded", "")


def test_a_document_of_the_release_before_is_resumed(pods):
    run = pods("home")
    run.play("resolve record train! finish!")
    document = run_folder(run.home / "work", RUN) / "run.json"
    known = json.loads(document.read_text())
    document.write_text(
        json.dumps({name: known[name] for name in known if name not in {"resumed", "told"}} | {"new": 1})
    )
    (document.parent / "tasks" / "finish.json").unlink()
    run.play("train evaluate promote test")
    assert run.row.state == "succeeded"


TERMINATED = """
    import sys, time
    from sightline.steps import task

    def work(config, storage, entry):
        print("begun", flush=True)
        time.sleep(60)

    task._task("train", sys.argv[1], "image", work)
"""


@pytest.mark.parametrize("resumed", [False, True])
def test_a_task_that_is_told_to_end_writes_it_down(pods, resumed):
    run = pods("home")
    run.play("resolve record train! finish!" if resumed else "resolve record")
    command = [sys.executable, "-c", textwrap.dedent(TERMINATED), run.config.model_dump_json()]
    with subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    entry = read_journal(run.home / "work", RUN)["train"]
    assert (entry.state, "SIGTERM" in entry.message) == ("interrupted", True)
    assert process.returncode != 0
    assert run.row.state == ("failed" if resumed else "running")
