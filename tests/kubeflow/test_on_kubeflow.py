"""The commands against a real back end, with a pipeline that has everything but long computations."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import click
import pytest
from click.testing import CliRunner

from sightline.cli.kubeflow import commands
from sightline.errors import NotReadyError
from sightline.kubeflow.runs import launch
from sightline.kubeflow.runs.launch import wait
from sightline.kubeflow.runs.lookup import find_run
from sightline.kubeflow.runs.preflight import Findings
from sightline.kubeflow.runs.submit import start_run, version_of
from sightline.kubeflow.watch.logs import follow_log
from sightline.kubeflow.watch.status import run_status
from tests.kubeflow.tiny import story
from tests.servers.kubeflow import kubeflow_world  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow


class Story:
    """The commands of ``pipeline.py``, for the story's pipeline."""

    def __init__(self, world):
        self.world = world
        self.text = story(world.image, world.name)
        self.group = click.Group()
        steps = click.option("--steps", default="work", callback=lambda context, parameter, value: (value,))
        commands.register(self.group, lambda asked: self.text, ["work"], steps, world.image)

        @self.group.command("run")
        @click.option("--recipe", default="plates")
        @commands.set_option
        @commands.run_options
        def run(recipe, overrides, **options):
            commands.start(lambda: self.text, options["pipeline"], recipe, overrides, options)

    def call(self, *arguments, code=0):
        """What a command prints."""
        done = CliRunner().invoke(self.group, arguments, standalone_mode=False)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert (done.return_value or done.exit_code) == code, done.output
        for run_id in re.findall(r"^run ([0-9a-f-]{36})", done.output, re.MULTILINE):
            self.world.runs.append(run_id)
        return done.output

    def run(self, tag, *more, code=0):
        name = self.world.name
        where = ("--pipeline", name, "--experiment", name, "--param", f"secret={name}", "--param", f"claim={name}")
        return self.call("run", "--set", f"data.tag={tag}", *where, *more, code=code)

    def status(self):
        """Of the last run."""
        kubeflow = self.world.kubeflow
        return run_status(kubeflow, find_run(kubeflow.api, self.world.runs[-1]))

    def states(self):
        return {task.name: task.state for task in self.status().all_tasks()}

    def task(self, name):
        return next(task for task in self.status().all_tasks() if task.name == name)


@pytest.fixture(scope="module")
def told(kubeflow_world):  # noqa: F811
    """The tags of the story are in nobody's data repository, that of a Sightline in this namespace neither."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "check_dataset", lambda cluster, tag: Findings())
        yield Story(kubeflow_world)


DONE = {
    "resolve": "succeeded",
    "work": "succeeded",
    "small": "succeeded",
    "small-2": "skipped",
    "small-3": "succeeded",
    "finish": "succeeded",
}


def test_it_is_uploaded_once(told):
    where = ("--pipeline", told.world.name)
    assert told.call("upload", *where).startswith("new pipeline")
    assert told.call("upload", *where).startswith("unchanged: pipeline")


def test_what_is_missing_is_said_before_a_run(told):
    with pytest.raises(NotReadyError) as caught:
        told.run("quick_ann_v1")
    name = told.world.name
    assert f"secret {name} is missing" in str(caught.value)
    assert f"volume claim {name} is missing" in str(caught.value)
    told.world.make_volume()
    told.world.make_secret(passwort="x")
    with pytest.raises(NotReadyError, match=f"secret {name} lacks the key password, needed by work; it has passwort"):
        told.run("quick_ann_v1")
    told.world.remove_secret()
    told.world.make_secret(password="canary-5d1f")


def test_a_run_to_its_end(told):
    output = told.run("quick_ann_v1", "--wait")
    assert "Train candidates: succeeded" in output
    assert told.states() == DONE
    work = told.task("work")
    assert (work.metrics, bool(work.host), work.retries) == ({"box_AP50": "0.871", "EIR": "0.93"}, True, 0)
    assert "canary-5d1f" not in output


def test_its_logs_with_and_without_pods(told):
    run = told.world.runs[-1]
    assert "metrics: box_AP50=0.871 EIR=0.93" in told.call("logs", run[:8], "work").splitlines()
    assert "==> resolve <==" in told.call("logs", run)
    for pod in told.world.kubeflow.cluster.pods(run):
        told.world.server.send("DELETE", f"{told.world.core}/pods/{pod['metadata']['name']}")
    assert told.states() == DONE
    assert "metrics: box_AP50=0.871 EIR=0.93" in told.call("logs", run[:8], "work").splitlines()


def test_the_same_again_takes_what_is_done_from_the_cache(told):
    output = told.call("rerun", told.world.runs[-1], "--wait")
    assert "with nothing changed" in output
    assert told.states() == {**dict.fromkeys(DONE, "cached"), "resolve": "succeeded", "small-2": "skipped"} | {
        "finish": told.states()["finish"]
    }


def test_a_failed_task_says_why_and_a_resumed_one_goes_on(told):
    output = told.call("rerun", told.world.runs[-1], "--set", "data.tag=failing_ann_v1", "--wait", code=1)
    assert "dataset_tag: quick_ann_v1 -> failing_ann_v1" in output
    work = told.task("work")
    assert (work.state, work.retries, "exit code 3" in work.reason) == ("failed", 1, True)
    assert "cannot go on: the sky fell" in "\n".join(work.log)
    assert told.states()["small"] == "not reached"
    told.call("resume", told.world.runs[-1], "--wait")
    assert told.states() == DONE | {"small": "cached", "small-3": "cached"}


def test_a_waiting_task_says_why_and_starts_when_it_is_mended(told):
    kubeflow = told.world.kubeflow
    before = find_run(kubeflow.api, told.world.runs[-1])
    told.world.remove_secret()
    parameters = before.parameters | {"dataset_tag": "waiting_ann_v1"}
    version = version_of(kubeflow.api, before)
    made = start_run(kubeflow.api, version, parameters, experiment_id=before.experiment_id)
    told.world.runs.append(made["run_id"])
    told.world.until(lambda: f"secret {told.world.name} is missing" in told.task("work").reason)
    assert told.states()["work"] == "waiting"
    told.world.make_secret(password="x")
    assert wait(kubeflow, find_run(kubeflow.api, made["run_id"]), lambda run: None).state == "succeeded"


def test_a_stopped_run_is_told_from_a_failed_one(told):
    told.run("slow_ann_v1")
    told.world.until(lambda: told.task("work").state == "running" and told.task("work").pod)
    kubeflow, run = told.world.kubeflow, told.status().run
    with ThreadPoolExecutor(1) as pool:
        followed = pool.submit(lambda: list(follow_log(kubeflow, run, "work")))
        told.call("stop", run.run_id)
        told.world.until(lambda: told.status().run.ended)
        assert "second 0" in followed.result(timeout=60)
    assert told.status().run.state == "stopped"
    assert told.states()["work"] == "stopped"


def test_a_run_that_loses_pods_is_resumed(told):
    """A task's pod is evicted, as when its node is drained; then, when the run goes on, a driver's pod is lost.

    Argo itself makes a pod anew that is lost in its first ten seconds, as that of a driver always is.  Of one that is
    evicted later it sees how it was told to end, or that it is gone, whichever comes first.
    """
    told.run("lasting_ann_v1")
    world, run_id = told.world, told.world.runs[-1]
    world.until(lambda: told.task("resolve").state == "running" and told.task("resolve").pod)
    time.sleep(12)
    world.evict(told.task("resolve").pod)
    with ThreadPoolExecutor(1) as pool:
        driver = pool.submit(world.until, lambda: world.lose(run_id, ".work-driver"))
        output = told.call("status", run_id, "--watch")
        assert driver.result()
    assert re.search(r"Resolve: failed: (pod deleted|main: Error \(exit code 143\))", output)
    assert (told.states()["resolve"], told.states()["work"]) == ("succeeded", "succeeded")
    assert told.status().run.state == "succeeded"


def test_schedules(told):
    name = told.world.name
    where = ("--pipeline", name, "--experiment", name, "--param", f"secret={name}", "--param", f"claim={name}")
    asked = ("--recipe", "plates", "--set", "data.tag=quick_ann_v1")
    added = told.call("schedule", "add", name, "--cron", "0 3 * * *", *asked, *where)
    assert f"{name}: cron 0 0 3 * * *, with the newest version" in added
    told.call("schedule", "pause", name)
    (listed,) = (one for one in json.loads(told.call("schedule", "list", "--json")) if one["name"] == name)
    assert (listed["on"], listed["version_id"]) == (False, "")
    told.call("schedule", "resume", name)
    told.call("schedule", "remove", name)
    assert name not in told.call("schedule", "list")
