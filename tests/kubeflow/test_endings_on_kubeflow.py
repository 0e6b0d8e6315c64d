# ruff: noqa: T201  (who runs it sees the story as it goes)
"""However a run comes to its end on a real Kubeflow, database row, page and webhook are those of an undisturbed run.

Stopped and resumed by our command, stopped and retried by the dashboard's button, its pod lost and resumed by the
command that waits.  Only the image without torch is needed: the runs record a dataset.  The git server does not answer
while a run is disturbed, so that its task lasts.
"""

import contextlib
import html
import re
import threading
import time

import pytest

from sightline.kubeflow.runs.lookup import find_run
from sightline.kubeflow.watch.status import run_status
from sightline.storage import open_uri
from tests.servers.installation import installation, rows
from tests.servers.kubeflow import required

pytestmark = pytest.mark.slow

SECONDS = 15
"""A pod that is lost earlier is made again by Argo itself."""


class Runs:
    """Runs of record, each with a bucket and a work folder of its own, so that none finds the result of another."""

    def __init__(self, it):
        self.it = it

    def start(self, place, *more, expect=0):
        """Start a run; its id."""
        it = self.it
        names = {**it.images, "accelerator_count": 0, "record_cpu": "500m", "record_memory": "1Gi"}
        given = [part for name, value in names.items() for part in ("--param", f"{name}={value}")]
        apart = ["data.tag=plates_ann_v1", f"storage.uri={it.bucket}/{place}", f"work.dir=/var/lib/sightline/{place}"]
        given += [part for line in apart for part in ("--set", line)]
        where = ["--steps", "record", "--pipeline", it.name, "--experiment", it.name]
        output = it.python("pipeline.py", "run", "--recipe", "plates", *where, *given, *more, expect=expect)
        return re.search(r"^run ([0-9a-f-]{36})", output, re.MULTILINE)[1]

    def find(self, run_id):
        return find_run(self.it.kubeflow.api, run_id)

    def task(self, run_id, name):
        tasks = run_status(self.it.kubeflow, self.find(run_id)).all_tasks()
        return next(task for task in tasks if task.name == name)

    def until(self, done, seconds=240):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := done():
                return found
            time.sleep(0.5)
        return pytest.fail(f"not within {seconds} s")

    def in_the_middle(self, run_id):
        """The pod of record, which has been at work for a while; the git server is silent from now on."""
        self.until(lambda: self.task(run_id, "resolve").state == "succeeded")
        self.it.git.answers.clear()
        self.until(lambda: self.task(run_id, "record").state == "running")
        pod = self.until(lambda: self.task(run_id, "record").pod)
        self.until(lambda: "running" in self.main_state(pod))
        time.sleep(SECONDS)
        assert self.task(run_id, "record").state == "running", "record ended before it could be disturbed"
        return pod

    def answer_after(self, pod):
        """Let the git server answer once a pod is dead: sooner, its task could finish before Kubeflow kills it."""
        self.until(lambda: "running" not in self.main_state(pod))
        self.it.git.answers.set()

    def main_state(self, pod):
        """The state of the task's own container."""
        document = self.it.kubeflow.cluster.find("pod", pod) or {}
        containers = (document.get("status") or {}).get("containerStatuses") or []
        return next((one["state"] for one in containers if one["name"] == "main"), {})

    def row(self, run_id):
        return rows(self.it.database_url, f"SELECT state, message FROM runs WHERE run_id = '{run_id}'")

    def told(self, run_id):
        return [text for _, text in self.it.webhook.told if run_id in text]

    def ending(self, run_id, place):
        """Row, page and last message of a run, without what is each run's own: names, times, digests."""
        storage, _ = open_uri(f"{self.it.bucket}/{place}/x")
        page = storage.read_bytes(f"runs/{run_id}/index.html")[0].decode()
        own = {run_id: "RUN", run_id[:8]: "RUN", place: "PLACE"}
        # The message takes back an earlier one, and says so.
        told = self.told(run_id)[-1].replace(" after it was resumed", "")
        return self.row(run_id), plain(page, own), plain(told, own)


def plain(text, own):
    """The words of a page."""
    text = re.sub(r"<(style|script|svg).*?</\1>", " ", text, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    for name, word in own.items():
        text = text.replace(name, word)
    text = re.sub(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b", "NAME", text)
    text = re.sub(r"\b[0-9a-f]{7,64}\b", "DIGEST", text)
    text = re.sub(r"[\d][\d.,:+TZ-]*", "#", text)
    text = re.sub(r"(# (s|ms|min|h|images/s|images/min)\b\s*)+", "TIME ", text)
    return " ".join(text.split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    required()
    with installation(tmp_path_factory.mktemp("endings"), "sightline-endings") as it:
        made = Runs(it)
        made.start("room-first", "--wait")  # publishes the training tag, which the others find
        yield made


@pytest.fixture(autouse=True)
def answering(runs):
    yield
    runs.it.git.answers.set()
    runs.it.webhook.answers.set()


@pytest.fixture(scope="module")
def quiet(runs):
    """The ending of a run that nothing disturbs."""
    run_id = runs.start("room-quiet", "--wait")
    ending = runs.ending(run_id, "room-quiet")
    print(*ending, sep="\n")
    assert ending[0] == [("succeeded", "")]
    return ending


def stop(runs, place):
    """A run that was stopped in the middle; its id."""
    run_id = runs.start(place)
    pod = runs.in_the_middle(run_id)
    runs.it.python("pipeline.py", "stop", run_id)
    runs.answer_after(pod)
    runs.until(lambda: runs.find(run_id).ended)
    assert runs.find(run_id).state == "stopped"
    runs.until(lambda: runs.told(run_id))
    return run_id


def assert_like(runs, run_id, place, quiet):
    for mine, expected in zip(runs.ending(run_id, place), quiet, strict=True):
        assert mine == expected


def test_a_stopped_run_is_stopped_everywhere_and_ends_well_when_resumed(runs, quiet):
    run_id = stop(runs, "room-stop")
    ((state, message),) = runs.row(run_id)
    assert state == "stopped", message
    assert "stopped" in runs.told(run_id)[-1]
    assert "stopped" in runs.ending(run_id, "room-stop")[1]
    runs.it.python("pipeline.py", "resume", run_id, "--wait")
    assert_like(runs, run_id, "room-stop", quiet)


def test_the_retry_button_ends_a_run_as_our_own_command_does(runs, quiet):
    run_id = stop(runs, "room-button")
    runs.it.kubeflow.api.retry(run_id)
    runs.until(lambda: runs.find(run_id).state == "succeeded")
    assert_like(runs, run_id, "room-button", quiet)


def test_a_finish_that_is_lost_while_it_tells_the_webhook_has_closed_the_run(runs, quiet):
    """Kubeflow calls such a run succeeded, so there is nothing to retry."""
    run_id = runs.start("room-finish")
    runs.it.webhook.answers.clear()
    runs.until(lambda: any(run_id in text for text in runs.it.webhook.asked))
    pod = runs.task(run_id, "finish").pod
    time.sleep(SECONDS)
    runs.it.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
    runs.until(lambda: runs.find(run_id).ended)
    assert runs.find(run_id).state == "succeeded"
    runs.it.webhook.answers.set()
    runs.until(lambda: runs.told(run_id))
    assert_like(runs, run_id, "room-finish", quiet)


def test_terminate_in_the_dashboard_is_a_stop(runs, quiet):
    """finish asks Kubeflow; in a resumed run, which has no finish, `status` corrects the row."""
    run_id = runs.start("room-terminate")
    pod = runs.in_the_middle(run_id)
    runs.it.kubeflow.api.terminate(run_id)
    runs.answer_after(pod)
    runs.until(lambda: runs.told(run_id))
    ((state, message),) = runs.row(run_id)
    assert (state, "Kubeflow does not say by whom" in message) == ("stopped", True), message
    runs.until(lambda: runs.find(run_id).ended)
    runs.it.kubeflow.api.retry(run_id)
    pod = runs.in_the_middle(run_id)
    runs.it.kubeflow.api.terminate(run_id)
    runs.answer_after(pod)
    runs.until(lambda: runs.find(run_id).ended)
    runs.it.python("pipeline.py", "status", run_id)
    ((state, message),) = runs.row(run_id)
    assert (state, "Kubeflow does not say by whom" in message) == ("stopped", True), message
    runs.it.python("pipeline.py", "resume", run_id, "--wait")
    assert_like(runs, run_id, "room-terminate", quiet)


def test_a_lost_pod_leaves_no_trace(runs, quiet):
    found = {}

    def lose():
        run_id = runs.until(lambda: newest(runs, "room-lost"))
        pod = runs.in_the_middle(run_id)
        runs.it.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        found["pod"] = pod
        runs.it.git.answers.set()

    watcher = threading.Thread(target=lose)
    watcher.start()
    with contextlib.ExitStack() as stack:
        stack.callback(watcher.join)
        run_id = runs.start("room-lost", "--wait")
    assert found["pod"], "no pod was lost"
    assert_like(runs, run_id, "room-lost", quiet)


def newest(runs, place):
    """The id of the run that works in a place, once it is there."""
    for run in runs.it.kubeflow.api.runs(5):
        parameters = (run.get("runtime_config") or {}).get("parameters") or {}
        if f"/{place}" in str(parameters.get("overrides", "")):
            return str(run["run_id"])
    return ""
