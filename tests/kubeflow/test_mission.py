# ruff: noqa: T201  (who runs it sees the story as it goes)
"""What Sightline is for, on a real Kubeflow: upload, run, edit code, rerun with new data, a champion, fetch.

``make kubeflow-test`` prints it as it goes.  Images, volumes and secrets are those of this repository.
"""

import hashlib
import json
import re
import shutil
import statistics
import threading
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest

from sightline.database import open_database
from sightline.kubeflow.runs.launch import wait
from sightline.kubeflow.runs.lookup import find_run
from sightline.kubeflow.runs.submit import read_version, start_run
from sightline.kubeflow.runs.upload import upload
from sightline.storage import open_uri
from tests.e2e.conftest import TINY, weights_digest
from tests.kubeflow.tiny import hello
from tests.servers.installation import CANARIES, NOTIFY_PATH, ROOT, installation, rows
from tests.servers.kubeflow import required

pytestmark = pytest.mark.slow

EDITED = "this line is in no image"


class Mission:
    """The installation and what was run in it."""

    def __init__(self, it):
        self.it = it
        self.runs = []

    def pipeline(self, *arguments, expect=0):
        output = self.it.python("pipeline.py", *arguments, expect=expect)
        for run_id in re.findall(r"^run ([0-9a-f-]{36})", output, re.MULTILINE):
            self.runs.append(run_id)
        return output

    def where(self):
        names = {**self.it.images, "accelerator_count": 0, "train_cpu": "1", "train_memory": "4Gi"}
        names |= {"record_cpu": "1", "record_memory": "2Gi"}
        parameters = [part for name, value in names.items() for part in ("--param", f"{name}={value}")]
        return ["--pipeline", self.it.name, "--experiment", self.it.name, *parameters]

    def run(self, tag, *arguments, expect=0):
        overrides = [part for line in [*TINY, f"data.tag={tag}"] for part in ("--set", line)]
        return self.pipeline("run", "--recipe", "plates", *overrides, *self.where(), *arguments, expect=expect)

    def status(self, run=-1):
        return json.loads(self.it.python("pipeline.py", "status", self.runs[run], "--json"))

    def tasks(self, run=-1):
        """Name -> task, of a run, whatever group it is in."""
        found = {}

        def add(tasks):
            for task in tasks:
                found[task["name"]] = task
                add(task["tasks"])

        add(self.status(run)["tasks"])
        return found

    def states(self, run=-1):
        return {name: task["state"] for name, task in self.tasks(run).items() if task["kind"] == "task"}

    def logs(self, task, run=-1):
        return self.it.python("pipeline.py", "logs", self.runs[run], task)

    def costs(self, run):
        """Seconds that the process of each task took: name of the task -> until its work began, and in all.

        Kubeflow's launcher notes when it starts the process and when that has ended; the first line of a step says
        that its work begins.  A task that says nothing has no work.
        """
        pods = json.loads(self.it.kubectl("get", "pods", "-l", f"pipeline/runid={run}", "-o", "json"))["items"]
        found = {}
        for pod in pods:
            name, labels = pod["metadata"]["name"], pod["metadata"].get("labels", {})
            if "executor" in pod["metadata"].get("annotations", {}).get("workflows.argoproj.io/node-name", ""):
                log = self.it.kubectl("logs", name, "-c", "main", "--timestamps")
                started, work, ended = (
                    [datetime.fromisoformat(time) for time in re.findall(pattern, log, re.MULTILINE)]
                    for pattern in (
                        r"^(\S+) .* (?:registry|launcher_v2)\.go:\d+\] (?:No task-level|Could not determine retry)",
                        r"^(\S+) [\d:]+ INFO +\w+: ",
                        r"^(\S+) .* launcher_v2\.go:\d+\] ExecutorOutput",
                    )
                )
                whole = (ended[0] - started[-1]).total_seconds()
                begun = (work[0] - started[-1]).total_seconds() if work else whole
                found[labels.get("app.kubernetes.io/component", name)] = (begun, whole)
        return found

    def champion_of(self):
        """The run that made the present champion."""
        return rows(self.it.database_url, "SELECT run_id FROM promotions WHERE metric = 'EIR' ORDER BY id")[-1][0]

    def code_revs(self):
        """Model -> the code that trained it, from the database."""
        return dict(rows(self.it.database_url, "SELECT sha256, code_rev FROM models"))


@pytest.fixture(scope="module")
def mission(tmp_path_factory):
    required()
    with installation(tmp_path_factory.mktemp("mission"), "sightline-test") as it:
        yield Mission(it)


DONE = dict.fromkeys(["resolve", "record", "train", "evaluate", "promote", "test", "finish"], "succeeded")


def test_doctor_finds_no_fault(mission):
    output = mission.pipeline("doctor", "--in-cluster", "--image", mission.it.images["base_image"])
    assert " 0 faults" in output


def test_upload(mission):
    assert mission.pipeline("upload", "--pipeline", mission.it.name).startswith("new pipeline")
    assert mission.pipeline("upload", "--pipeline", mission.it.name).startswith("unchanged: pipeline")


def test_a_run_becomes_champion(mission):
    mission.run("plates_ann_v1", "--wait")
    assert mission.states() == DONE
    database = open_database(mission.it.database_url)
    assert [row.record.tag for row in database.versions()] == ["plates_ann_v1", "plates_train_v1"]
    champion = database.champion("plates", "EIR")
    database.close()
    storage, key = open_uri(champion.model.uri)
    assert champion.model.uri.startswith(mission.it.bucket)
    assert hashlib.sha256(storage.read_bytes(key)[0]).hexdigest() == champion.record.model_sha256
    found = rows(mission.it.database_url, "SELECT run_id, state FROM runs")
    assert found == [(mission.runs[-1], "succeeded")]
    assert mission.champion_of() == mission.runs[-1]
    ((path, text),) = mission.it.webhook.told
    assert path == f"/{NOTIFY_PATH}"
    assert mission.runs[-1] in text
    assert "succeeded" in text


def test_pods_have_no_rights(mission):
    pods = json.loads(mission.it.kubectl("get", "pods", "-l", f"pipeline/runid={mission.runs[0]}", "-o", "json"))[
        "items"
    ]
    steps = [pod for pod in pods if pod["metadata"]["labels"].get("app.kubernetes.io/part-of") == "sightline"]
    assert len(steps) >= len(DONE)
    for pod in steps:
        assert pod["spec"]["serviceAccountName"] == "sightline"
        (main,) = (container for container in pod["spec"]["containers"] if container["name"] == "main")
        context = main["securityContext"]
        assert (context["runAsUser"], context["runAsNonRoot"]) == (1000, True)
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert context["seccompProfile"]["type"] == "RuntimeDefault"


def test_the_same_again_takes_what_is_done_from_the_cache(mission):
    output = mission.pipeline("rerun", mission.runs[0], "--wait")
    assert "with nothing changed" in output
    states = mission.states()
    assert {step: states[step] for step in ("record", "train", "test")} == dict.fromkeys(
        ("record", "train", "test"), "cached"
    )
    assert (states["evaluate"], states["promote"]) == ("succeeded", "skipped")


def test_new_code_and_new_data(mission):
    """No upload and no image: a line of a step is edited, published, and the run done again on a new tag."""
    edited = mission.it.folder / "checkout"
    shutil.copytree(ROOT / "shared", edited / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "components", edited / "components", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pipeline.py", edited)
    step = edited / "shared/sightline/steps/record.py"
    text = step.read_text()
    body = re.sub(r'(def run\(.*?\n    """.*?"""\n)', rf'\1    _log.info("{EDITED}")\n', text, count=1, flags=re.DOTALL)
    assert EDITED in body
    step.write_text(body)
    published = json.loads(mission.it.python("pipeline.py", "publish-code", "--json", root=edited))
    assert not published["unchanged"]
    photos = mission.it.folder / "photos"
    mission.it.python("-m", "sightline", "demo", "draw", str(photos), "--images", "30", "--seed", "1")
    mission.it.add_version("v2")
    output = mission.pipeline(
        "rerun", mission.runs[0], "--set", "data.tag=plates_ann_v2", "--code", "current", "--wait"
    )
    assert "dataset_tag: plates_ann_v1 -> plates_ann_v2" in output
    assert "code_rev: image -> current" in output
    states = mission.states()
    assert states.pop("promote") == ("succeeded" if mission.champion_of() == mission.runs[-1] else "skipped")
    assert {**states, "promote": "succeeded"} == DONE
    assert EDITED in mission.logs("record")
    assert EDITED not in mission.logs("record", run=0)
    mission.published = published["revision"]
    assert published["revision"] in mission.code_revs().values()


def test_two_revisions_at_once(mission):
    """A run with the code of the image beside one with what was published: each keeps its own."""
    runs = {}

    def start(code):
        asked = ["--set", "seed=7", "--code", code, "--steps", "record", "--wait"]  # in no cache
        runs[code] = mission.run("plates_ann_v2", *asked)

    threads = [threading.Thread(target=start, args=(code,)) for code in ("image", mission.published[:12])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs = {}
    for code, output in runs.items():
        run = re.search(r"^run ([0-9a-f-]{36})", output, re.MULTILINE).group(1)
        logs[code] = mission.logs("record", run=mission.runs.index(run))
    assert EDITED not in logs["image"]
    assert EDITED in logs[mission.published[:12]]


def test_a_lost_pod_changes_nothing(mission):
    """The pod of train is deleted while it trains, as when its node is drained: the model is that of a quiet run."""

    def train(place):
        uri = f"{mission.it.bucket}/{place}"
        apart = ["--set", f"storage.uri={uri}", "--set", f"work.dir=/var/lib/sightline/{place}"]
        mission.run("plates_ann_v1", "--steps", "record,train", "--set", "train.iterations=30", *apart, "--wait")
        storage, _ = open_uri(f"{uri}/x")
        return {
            Path(key).name: weights_digest(storage.uri_of(key)) for key in storage.names("") if "safetensors" in key
        }

    def lose():
        for _ in range(600):
            chosen = ["-l", "app.kubernetes.io/component=train", "--field-selector", "status.phase=Running"]
            found = mission.it.kubectl("get", "pods", *chosen, "-o", "name").split()
            for pod in found:
                if "4/30 loss" in mission.it.kubectl("logs", pod, "-c", "main", expect=None):
                    mission.it.kubectl("delete", pod, "--grace-period=0", "--force")
                    lost.append(pod)
                    return
            time.sleep(0.5)

    lost = []
    watcher = threading.Thread(target=lose)
    watcher.start()
    disturbed = train("disturbed")
    watcher.join()
    assert lost, "no pod was lost"
    assert disturbed == train("quiet")
    assert {"best.safetensors", "last.safetensors"} & set(disturbed)


def test_what_a_task_costs(mission):
    """The seconds that Sightline takes in a pod until the step's own work begins, beside a task that says hello."""
    it = mission.it
    compiled = it.folder / "hello.yaml"
    compiled.write_text(hello(it.images["base_image"], f"{it.name}-hello"))
    kubeflow = it.kubeflow
    uploaded = upload(kubeflow.api, f"{it.name}-hello", compiled.read_text(), "hello")
    version = read_version(kubeflow.api, uploaded.pipeline_id, uploaded.version_id)
    started = start_run(kubeflow.api, version, {}, experiment_id=kubeflow.api.experiment_id(it.name))
    assert wait(kubeflow, find_run(kubeflow.api, started["run_id"]), lambda run: None).state == "succeeded"
    hellos = mission.costs(started["run_id"])
    bare = statistics.median(whole for _, whole in hellos.values())
    print(f"\na task that says hello: {bare:.2f} s, median of {len(hellos)}\nbeyond it  until its work begins  in all")
    seconds = defaultdict(list)
    for run in mission.runs:
        for step, cost in mission.costs(run).items():
            seconds[step].append(cost)
    for step in DONE:
        assert all(begun < whole for begun, whole in seconds[step]), f"{step} does not say when its work begins"
        begun, whole = (statistics.median(column) - bare for column in zip(*seconds[step], strict=True))
        print(f"{step:<10} {begun:>15.2f} s {whole:>12.2f} s   median of {len(seconds[step])}")


def test_fetch(mission):
    folder = mission.it.folder / "fetched"
    mission.pipeline("fetch", mission.runs[0], "-o", str(folder))
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"index.html", "EIR/model.safetensors", "test/report.html", "evaluate/summary.json"} <= names
    assert f"<h1>{mission.status(0)['name']}</h1>" in (folder / "index.html").read_text()
    assert "plates_train_v1" in mission.it.python(
        "-m", "sightline", "model", "show", str(folder / "EIR/model.safetensors")
    )


def test_no_secret_is_anywhere(mission):
    """Compiled text, parameters, workflows, pods, logs, database, bucket, volumes."""
    it = mission.it
    places = {
        "workflows": it.kubectl("get", "workflows", "-o", "yaml"),
        "pods": it.kubectl("get", "pods", "-o", "yaml"),
    }
    for run in mission.runs:
        places[f"parameters of {run}"] = json.dumps(it.kubeflow.api.run(run))
        places[f"logs of {run}"] = it.python("pipeline.py", "logs", run, "--raw")
    compiled = it.folder / "pipeline.yaml"
    it.python("pipeline.py", "compile", "-o", str(compiled))
    places["compiled"] = compiled.read_text()
    for (table,) in rows(it.database_url, "SHOW TABLES"):
        places[f"table {table}"] = str(rows(it.database_url, f"SELECT * FROM {table}"))
    for room in ("results", "disturbed", "quiet"):
        storage, _ = open_uri(f"{it.bucket}/{room}/x")
        for name in storage.names(""):
            places[f"object {room}/{name}"] = storage.read_bytes(name)[0].decode("latin-1")
    for path in it.volumes.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes().decode("latin-1")
    assert len(places) > 100
    found = [place for place, text in places.items() if any(canary in text for canary in CANARIES)]
    assert found == []
