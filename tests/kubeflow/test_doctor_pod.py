"""The pod that ``doctor --in-cluster`` looks around from, as a real Kubernetes described it, and what it said."""

import json

import pytest
import yaml
from click.testing import CliRunner

import pipeline
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.doctor import inside as doctor_inside
from sightline.kubeflow.doctor import pod as doctor_pod
from sightline.kubeflow.doctor.checks import CLAIMS, SECRETS, named
from sightline.kubeflow.doctor.findings import Finding
from sightline.kubeflow.doctor.pod import examine_inside, pod_document
from tests.kubeflow.recorded import write_kubeconfig

PODS = "/api/v1/namespaces/team/pods"

NO_SIGHTLINE = (
    "/usr/bin/python3: Error while finding module specification for 'sightline.kubeflow.doctor.inside' "
    "(ModuleNotFoundError: No module named 'sightline')"
)
NO_PYTHON = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: exec: "python3": executable file not found in $PATH: unknown'
)
FAR = (
    'Back-off pulling image "r/x:1": ErrImagePull: failed to pull and unpack image "r/x:1": failed to resolve '
    'reference "r/x:1": failed to do request: Head "http://r/v2/x/manifests/1": dial tcp: connect: connection refused'
)
FOUND = json.dumps({"check": "bucket", "level": "ok", "text": "written", "remedy": ""})


def ended(code, reason, message=""):
    terminated = {"exitCode": code, "reason": reason, "message": message}
    return "Failed" if code else "Succeeded", {"terminated": terminated}


@pytest.mark.parametrize(
    ("state", "log", "findings"),
    [
        (ended(0, "Completed"), f"some warning\n{FOUND}\n",
         [("registry", "ok", "r/x:1 was pulled and starts on node-1"), ("bucket", "ok", "written")]),
        (ended(1, "Error"), NO_SIGHTLINE, [("registry", "ok", "r/x:1"), ("image", "fault", "r/x:1 has no Sightline")]),
        (ended(128, "StartError", NO_PYTHON), "",
         [("registry", "ok", "r/x:1"), ("image", "fault", "image r/x:1 has no python3 in it")]),
        (ended(1, "Error"), "Traceback\nOSError: hello",
         [("registry", "ok", "r/x:1"), ("image", "fault", "ended (exit code 1); its log: Traceback OSError: hello")]),
        (("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": FAR}}), "",
         [("pod", "fault", "does not start: image r/x:1 cannot be pulled")]),
    ],
)  # fmt: skip
def test_what_the_pod_comes_to(server, api, monkeypatch, state, log, findings):
    monkeypatch.setattr(doctor_pod, "PATIENCE_SECONDS", 0.0)
    phase, container = state
    status = {"phase": phase, "containerStatuses": [{"name": "main", "image": "r/x:1", "state": container}]}

    def made(asked):
        name = json.loads(asked.body)["metadata"]["name"]
        server.say(f"GET {PODS}/{name}", {"spec": {"nodeName": "node-1"}, "status": status})
        server.say(f"GET {PODS}/{name}/log", log)
        server.say(f"DELETE {PODS}/{name}", {})
        return 201, {}, {}

    server.answers[f"POST {PODS}"] = made
    server.say("GET /api/v1/namespaces/team/events", {})
    found = list(examine_inside(Cluster(api.server, "team"), "r/x:1", "", {}))
    assert [(one.check, one.level) for one in found] == [(check, level) for check, level, _ in findings]
    assert all(says in one.text for one, (_, _, says) in zip(found, findings, strict=True)), found
    assert server.asked[-1].method == "DELETE"


def test_the_pod_stands_on_what_the_tasks_stand_on():
    """Mounts, variables from secrets, the key's place and the user of train, the task that asks for most."""
    specification, platform = yaml.safe_load_all(pipeline.compile_yaml())
    task = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-train"]
    kinds = ("pvcMount", "configMapAsVolume", "secretAsVolume", "emptyDirMounts")
    wanted = {entry["mountPath"] for kind in kinds for entry in task[kind]}
    keys = {(pair["envVar"], pair["secretKey"]) for entry in task["secretAsEnv"] for pair in entry["keyToEnv"]}
    (storage_key,) = specification["deploymentSpec"]["executors"]["exec-train"]["container"]["env"]

    pod = pod_document("x:1", "sightline", {})["spec"]
    (container,) = pod["containers"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == wanted | {"/tmp"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    references = [(one["name"], one["valueFrom"]["secretKeyRef"]) for one in container["env"] if "valueFrom" in one]
    assert {(name, reference["key"]) for name, reference in references} == keys
    assert storage_key in container["env"]
    assert str(pod["securityContext"]["runAsUser"]) == task["securityContext"]["runAsUser"]
    assert pod["serviceAccountName"] == "sightline"


def test_the_usual_names_are_those_of_the_pipeline():
    declared = next(yaml.safe_load_all(pipeline.compile_yaml()))["root"]["inputDefinitions"]["parameters"]
    places = {name: one["defaultValue"] for name, one in declared.items() if name.endswith(("_volume", "_secret"))}
    assert {parameter: named(parameter, {}) for parameter in [*CLAIMS, *SECRETS]} == places


def test_the_pod_takes_the_names_of_the_profile():
    names = {"work_volume": "disk", "code_volume": "programs", "database_secret": "sql", "storage_secret": "gcs"}
    text = json.dumps(pod_document("x:1", "", names))
    assert all(f'"{name}"' in text for name in names.values())
    assert "sightline-work" not in text
    assert '"sightline-git"' in text


def test_doctor_in_the_cluster_says_where_each_line_was_checked(server, nobodys, tmp_path):
    seen = Finding("bucket", "ok", "written")
    server.say(f"GET {PODS}/x/log", doctor_inside.line_of(seen))
    assert "where" not in doctor_inside.line_of(seen)  # clients of earlier releases read it too
    server.say("GET /apis/v2beta1/runs", {})
    server.say("GET /version/", {"gitVersion": "v1.33.0"})
    server.say("GET /api/v1/namespaces/team", {})
    server.say("GET /api/v1/nodes", {"items": []})
    server.say("GET /api/v1/namespaces/team/events", {})

    def made(asked):
        name = json.loads(asked.body)["metadata"]["name"]
        server.say(f"GET {PODS}/{name}", {"spec": {"nodeName": "n"}, "status": {"phase": "Running"}, "metadata": {}})
        server.answers[f"GET {PODS}/{name}/log"] = server.answers[f"GET {PODS}/x/log"]
        server.say(f"DELETE {PODS}/{name}", {})
        return 201, {}, {}

    server.answers[f"POST {PODS}"] = made
    kubeconfig = str(write_kubeconfig(tmp_path / "kubeconfig", server.url))
    where = ["doctor", "--in-cluster", "--host", server.url, "--kubeconfig", kubeconfig, "--namespace", "team"]
    lines = CliRunner().invoke(pipeline.cli, where).output.splitlines()
    places = [line.split()[1] for line in lines if line.split()[0] in {"ok", "warning", "fault"}]
    assert places == ["here"] * (len(places) - 2) + ["pod"] * 2
    assert any(line.split() == ["ok", "pod", "bucket:", "written"] for line in lines)
    found = json.loads(CliRunner().invoke(pipeline.cli, [*where, "--json"]).output)
    assert {one["where"] for one in found} == {"here", "pod"}
    alone = CliRunner().invoke(pipeline.cli, ["doctor", *where[2:]]).output.splitlines()
    assert alone[0].startswith("ok       API: ")
