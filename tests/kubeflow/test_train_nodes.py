"""Training on several nodes: the TrainJob, and what the step does with it, with a server that answers as Kubernetes."""

import json
import os
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from sightline.data.repository.checkout import Checkout
from sightline.engine.job import NODES_LOG, Failure
from sightline.errors import ConfigurationError, DataError, NotAuthorisedError, NotReadyError, StepError
from sightline.kubeflow import train_nodes
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.trainjob import NODE_LABELS, train_job
from tests.engine.several import make_job
from tests.golden import raises
from tests.kubeflow.recorded import NAMESPACE, server_at

JOBS = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{NAMESPACE}/trainjobs"
JOB = f"{JOBS}/sightline-train"

POD = {
    "metadata": {"name": "run-1-train", "uid": "5c0f", "labels": {"pipeline/runid": "r1"}},
    "spec": {
        "serviceAccountName": "sightline",
        "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": True},
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [
            {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
        ],
        "volumes": [
            {"name": "sightline-work", "persistentVolumeClaim": {"claimName": "sightline-work"}},
            {"name": "sightline-storage", "secret": {"secretName": "sightline-storage", "optional": True}},
            {"name": "sightline-settings", "configMap": {"name": "sightline-settings", "optional": True}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
            {"name": "var-run-argo", "emptyDir": {}},
            {"name": "kfp-launcher", "emptyDir": {}},
            {"name": "kube-api-access-x", "projected": {"sources": []}},
        ],
        "containers": [
            {"name": "wait", "image": "argoexec"},
            {
                "name": "main",
                "image": "registry/sightline/train:1",
                "resources": {"limits": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "2"}},
                "securityContext": {"allowPrivilegeEscalation": False},
                "env": [
                    {"name": "KFP_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "ARGO_NODE_ID", "value": "x"},
                    {"name": "SIGHTLINE_STORAGE_KEY", "value": "/etc/sightline-storage/key.json"},
                    {
                        "name": "SIGHTLINE_RUN_ID",
                        "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['pipeline/runid']"}},
                    },
                    {
                        "name": "SIGHTLINE_DATABASE_PASSWORD",
                        "valueFrom": {
                            "secretKeyRef": {"name": "sightline-database", "key": "password", "optional": True}
                        },
                    },
                ],
                "volumeMounts": [
                    {"name": "sightline-work", "mountPath": "/var/lib/sightline"},
                    {"name": "sightline-storage", "mountPath": "/etc/sightline-storage"},
                    {"name": "sightline-settings", "mountPath": "/etc/sightline"},
                    {"name": "shared-memory", "mountPath": "/dev/shm"},
                    {"name": "var-run-argo", "mountPath": "/var/run/argo"},
                    {"name": "kfp-launcher", "mountPath": "/kfp-launcher"},
                    {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
                ],
            },
        ],
    },
}

COMMAND = ["python", "-m", "torch.distributed.run", "-m", "sightline.engine.worker", "/work/job.json"]


def made(pod=POD):
    return train_job(
        "sightline-abc",
        pod,
        COMMAND,
        nodes=2,
        processes=2,
        variables={"OMP_NUM_THREADS": "2"},
        seconds=1000,
        environment={"SIGHTLINE_RUN_ID": "r1"},
    )


def patched(document):
    """The part of the pods that the TrainJob changes in the runtime."""
    patch = document["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"][0]
    assert patch["name"] == "node"
    return patch["template"]["spec"]["template"]


def test_a_train_job_repeats_the_pod_of_the_step():
    document = made()
    trainer, pod = document["spec"]["trainer"], patched(document)
    assert (trainer["image"], trainer["command"]) == ("registry/sightline/train:1", COMMAND)
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 2)
    assert trainer["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == "2"
    kept = ["sightline-work", "sightline-storage", "sightline-settings", "shared-memory"]
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == kept
    assert [mount["name"] for mount in pod["spec"]["containers"][0]["volumeMounts"]] == kept
    assert pod["spec"]["nodeSelector"] == {"pool": "gpu"}
    assert [one["key"] for one in pod["spec"]["tolerations"]] == ["gpu"]
    assert pod["spec"]["serviceAccountName"] == "sightline"
    assert pod["metadata"]["labels"] == NODE_LABELS
    assert document["metadata"]["ownerReferences"][0]["uid"] == "5c0f"


def test_variables_of_the_pod_become_values_and_secrets_stay_references():
    variables = {one["name"]: one for one in made()["spec"]["trainer"]["env"]}
    assert variables["SIGHTLINE_RUN_ID"] == {"name": "SIGHTLINE_RUN_ID", "value": "r1"}
    assert variables["SIGHTLINE_DATABASE_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == "sightline-database"
    assert variables["OMP_NUM_THREADS"]["value"] == "2"
    assert not any(name.startswith(("KFP_", "ARGO_", "PET_")) for name in variables)


def test_a_pod_without_shared_memory_gets_it_on_the_nodes():
    pod = json.loads(json.dumps(POD))
    pod["spec"]["volumes"] = [one for one in pod["spec"]["volumes"] if one["name"] != "shared-memory"]
    spec = patched(made(pod))["spec"]
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory"}} in spec["volumes"]
    assert {"name": "shared-memory", "mountPath": "/dev/shm"} in spec["containers"][0]["volumeMounts"]


def test_the_pods_of_a_train_job_are_valid():
    document = made()
    pod, trainer = patched(document), document["spec"]["trainer"]
    container = pod["spec"]["containers"][0] | {key: trainer[key] for key in ("image", "command", "env")}
    whole = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": pod["metadata"] | {"name": "x"},
        "spec": pod["spec"] | {"containers": [container | {"resources": trainer["resourcesPerNode"]}]},
    }
    kubernetes_validate.validate(whole, "1.33", strict=True)


def test_a_train_job_has_the_fields_of_version_2_3():
    """Names from the API of Kubeflow Trainer 2.3; the test below checks types, with its file."""
    spec = made()["spec"]
    assert spec.keys() <= {"runtimeRef", "initializer", "trainer", "runtimePatches", "suspend", "activeDeadlineSeconds"}
    fields = {"image", "command", "args", "env", "numNodes", "resourcesPerNode", "numProcPerNode"}
    assert spec["trainer"].keys() <= fields
    assert spec["runtimePatches"][0].keys() == {"manager", "trainingRuntimeSpec"}
    allowed = {"serviceAccountName", "volumes", "containers", "imagePullSecrets", "securityContext", "nodeSelector"}
    assert patched(made())["spec"].keys() <= allowed | {"tolerations"}
    assert patched(made())["spec"]["containers"][0].keys() <= {"name", "volumeMounts", "securityContext"}


@pytest.mark.skipif("SIGHTLINE_TRAINJOB_CRD" not in os.environ, reason="SIGHTLINE_TRAINJOB_CRD does not name a file")
def test_a_train_job_fits_the_schema_of_kubeflow_trainer():
    crd = yaml.safe_load(Path(os.environ["SIGHTLINE_TRAINJOB_CRD"]).read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {}
    jsonschema.validate(made(), strict(schema))


def strict(schema):
    """The schema of a CRD for jsonschema, which refuses unknown fields as ``kubectl --validate=strict`` does."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    if found.pop("x-kubernetes-int-or-string", False):
        found = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    return found


@pytest.fixture
def cluster(server, monkeypatch):
    """A namespace with the pod of the step; the TrainJobs that are created in it live in ``server.jobs``."""
    monkeypatch.setattr(train_nodes, "POLL_SECONDS", 0.02)
    server.jobs, server.states = {}, [{}]
    server.say(f"GET /api/v1/namespaces/{NAMESPACE}/pods/run-1-train", POD)

    def create(asked):
        server.jobs["now"] = json.loads(asked.body)
        return 201, server.jobs["now"], {}

    def look(asked):
        if "now" not in server.jobs:
            return 404, {"message": "not found"}, {}
        state = server.states.pop(0) if len(server.states) > 1 else server.states[0]
        return 200, server.jobs["now"] | {"status": state}, {}

    def remove(asked):
        assert asked.query["propagationPolicy"] == "Foreground"
        return (200 if server.jobs.pop("now", None) else 404), {}, {}

    server.answers |= {f"POST {JOBS}": create, f"GET {JOB}": look, f"DELETE {JOB}": remove}
    return Cluster(server_at(server.url), NAMESPACE)


@pytest.fixture
def job(tmp_path):
    """A job for two nodes, and its file."""
    made = make_job(tmp_path, Checkout(tmp_path, "shapes_train_v1", "c" * 40), nodes=2, batch_size=4)
    return made.write(), made


def condition(kind, **more):
    return {"conditions": [{"type": kind, "status": "True", **more}]}


def start(cluster, job):
    path, what = job
    train_nodes.run_train_job(cluster, "run-1-train", path, what, 2)


def methods(server):
    return [asked.method for asked in server.asked if asked.path.startswith(JOBS)]


def test_a_train_job_is_created_watched_and_removed(server, cluster, job, caplog, monkeypatch):
    path, _ = job
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    lines = ["2026-11-28 20:00:00 INFO    2/6 loss 2.0", "2026-11-28 20:00:01 WARNING rank 1: slow", "Traceback"]
    (path.parent / NODES_LOG).write_text("\n".join(lines) + "\n")
    server.states = [{}, {"jobsStatus": []}, condition("Complete")]
    caplog.set_level("INFO", "sightline.kubeflow")
    start(cluster, job)
    assert methods(server) == ["GET", "POST", "GET", "GET", "GET", "DELETE"]
    shown = [(record.levelname, record.message) for record in caplog.records][1:]
    assert shown == [("INFO", "2/6 loss 2.0"), ("WARNING", "rank 1: slow"), ("INFO", "Traceback")]
    created = json.loads(next(asked.body for asked in server.asked if asked.method == "POST"))
    assert created["spec"]["trainer"]["command"][-1] == str(path)
    assert {"name": "OMP_NUM_THREADS", "value": "3"} in created["spec"]["trainer"]["env"]  # the user's
    assert (path.parent / "heartbeat").exists()


def test_the_error_of_a_process_ends_the_train_job_at_once(server, cluster, job):
    Failure(3, "DataError", "image 7 is broken").write(job[0].parent)
    with raises(DataError, "image 7", "rank 3 of 4"):
        start(cluster, job)
    assert methods(server)[-1] == "DELETE"


def test_a_failed_train_job_says_why(server, cluster, job):
    server.states = [condition("Failed", reason="DeadlineExceeded", message="too long")]
    with raises(StepError, "sightline-train", "DeadlineExceeded: too long"):
        start(cluster, job)
    assert server.jobs == {}


def test_what_an_interrupted_run_left_is_removed_first(server, cluster, job):
    server.jobs["now"] = made()
    server.states = [{}, condition("Complete")]
    start(cluster, job)
    assert methods(server)[:4] == ["GET", "DELETE", "GET", "POST"]


def test_a_stopped_step_removes_its_train_job(server, cluster, job, monkeypatch):
    class Stop(BaseException):
        pass

    def stop(seconds):
        raise Stop

    monkeypatch.setattr(train_nodes.time, "sleep", stop)
    with pytest.raises(Stop):
        start(cluster, job)
    assert server.jobs == {}


def test_a_train_job_that_someone_removes_is_an_error(server, cluster, job):
    server.answers[f"GET {JOB}"] = (404, {"message": "not found"}, {})
    with raises(StepError, "was removed"):
        start(cluster, job)


def test_an_api_that_is_away_for_a_moment_ends_nothing(server, cluster, job, caplog):
    look, asked_before = server.answers[f"GET {JOB}"], []

    def away_once(asked):
        asked_before.append(asked)
        return (500, {"message": "etcd"}, {}) if len(asked_before) == 2 else look(asked)

    server.answers[f"GET {JOB}"] = away_once
    server.states = [condition("Complete")]
    start(cluster, job)
    assert "trying again" in caplog.text


def test_a_cluster_without_kubeflow_trainer_says_so(server, cluster, job):
    server.answers[f"POST {JOBS}"] = (404, {"message": "the server could not find the requested resource"}, {})
    with pytest.raises(NotReadyError, match=r"Kubeflow Trainer 2\.3"):
        start(cluster, job)


def test_a_service_account_without_permission_says_so(server, cluster, job):
    server.answers[f"POST {JOBS}"] = (403, {"message": "trainjobs is forbidden"}, {})
    with pytest.raises(NotAuthorisedError, match="manifests"):
        start(cluster, job)


def test_outside_of_a_pod_several_nodes_are_refused(job, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError, match="Kubeflow"):
        train_nodes.train_on_nodes(*job, 1)
