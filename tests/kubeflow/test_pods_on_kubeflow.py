"""What the pods of the pipeline really get: the compiled text of Sightline itself, on a real back end.

The tasks do nothing.  The node is given accelerators that are not there, as a device plugin would announce them.
"""

import contextlib
import json
import secrets

import pytest

import pipeline
from components import CODE_PATH, SETTINGS_PATH, STORAGE_KEY_PATH, WORK_PATH
from components.pod import ENVIRONMENT, SHARED_MEMORY, USER
from sightline.errors import KubeflowError, NotReadyError, TakenError
from sightline.kubeflow.capacity import read_nodes
from sightline.kubeflow.client.cluster import NODE_ANNOTATION
from sightline.kubeflow.quantity import parse_quantity
from sightline.kubeflow.runs import launch
from sightline.kubeflow.runs.launch import wait
from sightline.kubeflow.runs.lookup import find_run
from sightline.kubeflow.runs.parameters import new_parameters
from sightline.kubeflow.runs.preflight import Findings
from sightline.kubeflow.runs.submit import read_version, start_run
from sightline.kubeflow.runs.upload import upload
from sightline.kubeflow.watch.status import run_status
from sightline.kubeflow.watch.waiting_for_node import FOREVER, why_no_node
from sightline.runs.step_table import BY_NAME
from tests.kubeflow.tiny import emptied
from tests.servers.kubeflow import kubeflow_world  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow

GPU = "sightline.test/gpu"
"""A resource of this test's own, so that devices which are really there are left alone."""

OFFERED = 4
STEPS = set(BY_NAME)
TOLERATIONS = [
    {"key": GPU, "operator": "Exists", "effect": "NoSchedule"},
    {"key": "pool", "operator": "Equal", "value": "vision", "effect": "NoExecute", "tolerationSeconds": 60},
]
ASKED = {"train_cpu": "150m", "train_memory": "96Mi", "record_cpu": "0.1", "record_memory": "64Mi"}


def offer(world, name, amount):
    """Let a node offer so much of the resource; None takes it away."""
    for attempt in range(5):
        node = world.server.send("GET", f"/api/v1/nodes/{name}")
        for part in ("capacity", "allocatable"):
            offers = {key: value for key, value in node["status"][part].items() if key != GPU}
            node["status"][part] = offers | ({GPU: str(amount)} if amount is not None else {})
        try:
            world.server.send("PUT", f"/api/v1/nodes/{name}/status", body=node)
        except TakenError:  # its kubelet wrote in between
            if attempt == 4:
                raise
        else:
            return


class Pods:
    """Runs of the pipeline and the pods that they had."""

    def __init__(self, world, node):
        self.world = world
        self.kubeflow = world.kubeflow
        self.node = node
        api = self.kubeflow.api
        uploaded = upload(api, world.name, emptied(pipeline.compile_yaml()))
        self.version = read_version(api, uploaded.pipeline_id, uploaded.version_id)
        self.names = {
            "work_volume": world.name,
            "code_volume": f"{world.name}-code",
            **{f"{kind}_secret": f"{world.name}-{kind}" for kind in ("database", "git", "storage", "notify")},
        }

    def parameters(self, count, **changed):
        """Of a run that nothing is cached of."""
        pods = self.names | ASKED | {"base_image": self.world.image, "train_image": self.world.image}
        pods |= {
            "accelerator_type": GPU,
            "accelerator_count": count,
            "node_selector": json.dumps({"kubernetes.io/hostname": self.node}),
            "tolerations": json.dumps(TOLERATIONS),
        }
        pods |= changed
        tag = f"data.tag=pods{secrets.token_hex(3)}_ann_v1"
        given = [f"{name}={value}" for name, value in pods.items()]
        return new_parameters(self.version.parameters, "plates", [tag], "image", given, usual={})

    def start(self, count, **changed):
        """A run, checked as ``run`` checks it."""
        experiment = self.kubeflow.api.experiment_id(self.world.name)
        run = launch.launch(self.kubeflow, self.version, self.parameters(count, **changed), experiment_id=experiment)
        self.world.runs.append(run.run_id)
        return run.run_id

    def tasks(self, run):
        return run_status(self.kubeflow, run).all_tasks()

    def ended(self, run_id):
        """The pods of a run at its end: those of the steps by step, and the others."""
        run = wait(self.kubeflow, find_run(self.kubeflow.api, run_id), lambda run: None)
        if run.state != "succeeded":
            pytest.fail(str([(one.name, one.state, one.reason, one.log) for one in self.tasks(run)]))
        steps, others = {}, []
        for pod in self.kubeflow.cluster.pods(run_id):
            if pod["metadata"]["annotations"].get(NODE_ANNOTATION, "").split(".")[-1].startswith("executor"):
                steps[pod["metadata"]["labels"]["app.kubernetes.io/component"]] = pod
            else:
                others.append(pod)
        return steps, others


@pytest.fixture(scope="module")
def pods(kubeflow_world):  # noqa: F811
    """A node with accelerators, and the pipeline uploaded."""
    world = kubeflow_world
    node = read_nodes(world.kubeflow.cluster.nodes())[0].name
    for name in (f"{world.name}", f"{world.name}-code"):
        if world.kubeflow.cluster.find("persistent_volume_claim", name) is None:
            world.make_volume(name)
    offer(world, node, OFFERED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "check_dataset", lambda cluster, tag: Findings())
        try:
            yield Pods(world, node)
        finally:
            offer(world, node, None)


@pytest.fixture(scope="module")
def three(pods):
    """The pods of three runs, with one accelerator a task, with none, and with two."""
    runs = {count: pods.start(count) for count in ("1", "0", "2")}
    return {count: pods.ended(run_id) for count, run_id in runs.items()}


@pytest.mark.parametrize("count", ["1", "0", "2"])
def test_every_step_gets_what_is_asked_for(pods, three, count):
    steps, others = three[count]
    assert set(steps) == STEPS
    for step, pod in steps.items():
        check_resources(step, pod, count)
        check_place(pods, step, pod)
        check_volumes(pods, step, pod)
        check_environment(pods, pod)
        check_security(step, pod)
    asked = [container["resources"] for pod in others for container in pod["spec"]["containers"]]
    assert asked  # drivers, which need no accelerator
    assert not [one for one in asked if GPU in {**one.get("limits", {}), **one.get("requests", {})}]


def check_resources(step, pod, count):
    (main,) = [one for one in pod["spec"]["containers"] if one["name"] == "main"]
    heavy = BY_NAME[step].accelerated
    expected = {"cpu": ASKED["train_cpu" if heavy else "record_cpu"]}
    expected["memory"] = ASKED["train_memory" if heavy else "record_memory"]
    expected |= {GPU: count} if heavy else {}
    for kind in ("limits", "requests"):
        given = {name: parse_quantity(amount) for name, amount in main["resources"][kind].items()}
        assert given == {name: parse_quantity(amount) for name, amount in expected.items()}, (step, kind)


def check_place(pods, step, pod):
    specification = pod["spec"]
    tolerated = specification.get("tolerations", [])
    if BY_NAME[step].accelerated:
        assert specification["nodeSelector"] == {"kubernetes.io/hostname": pods.node}
        assert [one for one in TOLERATIONS if one not in tolerated] == []
    else:
        assert "nodeSelector" not in specification
        assert [one for one in TOLERATIONS if one in tolerated] == []
    assert specification["activeDeadlineSeconds"] == BY_NAME[step].timeout_seconds


def check_volumes(pods, step, pod):
    (main,) = [one for one in pod["spec"]["containers"] if one["name"] == "main"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in main["volumeMounts"]}
    claim = "persistentVolumeClaim"
    assert mounted[WORK_PATH][claim]["claimName"] == pods.names["work_volume"]
    assert mounted[CODE_PATH][claim]["claimName"] == pods.names["code_volume"]
    settings = mounted[SETTINGS_PATH]["configMap"]
    assert (settings["name"], settings["optional"]) == ("sightline-settings", True)
    key = mounted[STORAGE_KEY_PATH]["secret"]
    assert (key["secretName"], key["optional"]) == (pods.names["storage_secret"], True)
    shared = mounted.get("/dev/shm", {}).get("emptyDir")
    assert shared == ({"medium": "Memory", "sizeLimit": SHARED_MEMORY} if BY_NAME[step].accelerated else None), step


def check_environment(pods, pod):
    (main,) = [one for one in pod["spec"]["containers"] if one["name"] == "main"]
    variables = {one["name"]: one for one in main["env"]}
    secret = {name: one["valueFrom"]["secretKeyRef"] for name, one in variables.items() if "secretKeyRef" in str(one)}
    wanted = {
        "SIGHTLINE_DATABASE_PASSWORD": ("database_secret", "password"),
        "SIGHTLINE_GIT_TOKEN": ("git_secret", "token"),
        "SIGHTLINE_NOTIFY_URL": ("notify_secret", "url"),
    }
    assert secret == {
        name: {"name": pods.names[parameter], "key": key, "optional": True} for name, (parameter, key) in wanted.items()
    }
    for name in ENVIRONMENT:
        expected = {"name": "sightline-environment", "key": name, "optional": True}
        assert variables[name]["valueFrom"]["configMapKeyRef"] == expected
    assert variables["SIGHTLINE_STORAGE_KEY"]["value"] == f"{STORAGE_KEY_PATH}/key.json"
    assert variables["SIGHTLINE_RUN_ID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['pipeline/runid']"


def check_security(step, pod):
    (main,) = [one for one in pod["spec"]["containers"] if one["name"] == "main"]
    context = main["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["runAsNonRoot"]) == (USER, USER, True), step
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not context.get("privileged")
    assert not pod["spec"].get("hostNetwork")
    assert pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "sightline"


def test_more_than_any_node_has_is_refused_before_a_run(pods):
    with pytest.raises(NotReadyError) as caught:
        pods.start(str(OFFERED + 1))
    assert f"no node is large enough for 0.15 cpu, 96Mi memory, {OFFERED + 1} {GPU}" in str(caught.value)
    assert f"{pods.node}, offers" in str(caught.value)
    assert f"{OFFERED} {GPU}" in str(caught.value)
    with pytest.raises(NotReadyError, match="large enough without these labels"):
        pods.start("1", node_selector='{"kubernetes.io/hostname": "nowhere"}')
    with pytest.raises(NotReadyError, match="record_cpu"):
        pods.start("0", record_cpu="4k")


def test_status_tells_waiting_for_ever_from_waiting_for_room(pods):
    world, cluster = pods.world, pods.kubeflow.cluster
    experiment = pods.kubeflow.api.experiment_id(world.name)
    parameters = pods.parameters("0", record_cpu="4k")
    made = start_run(pods.kubeflow.api, pods.version, parameters, experiment_id=experiment)["run_id"]
    world.runs.append(made)

    def reason():
        tasks = pods.tasks(find_run(pods.kubeflow.api, made))
        return next(task.reason for task in tasks if task.name == "resolve")

    # At first there is only what the workflow says; then the pod and the nodes are compared.
    said = world.until(lambda: found if FOREVER in (found := reason()) else "")
    assert said.startswith("no node is large enough: it will wait forever (no node is large enough for 4000"), said
    pods.kubeflow.api.terminate(made)

    names = [f"{world.name}-{part}" for part in ("holder", "waiter")]
    try:
        for name in names:
            main = {"name": "main", "image": world.image, "command": ["sleep", "600"]}
            main["resources"] = {"limits": {"cpu": "10m", "memory": "16Mi", GPU: str(OFFERED)}}
            specification = {"containers": [main], "terminationGracePeriodSeconds": 0, "restartPolicy": "Never"}
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": specification}
            world.server.send("POST", f"{world.core}/pods", body=body)
            if name == names[0]:
                world.until(lambda: (cluster.find("pod", names[0]) or {}).get("spec", {}).get("nodeName"))
        said = world.until(lambda: why_no_node(cluster.find("pod", names[1]), read_nodes(cluster.nodes())))
    finally:
        for name in names:
            with contextlib.suppress(KubeflowError):
                world.server.send("DELETE", f"{world.core}/pods/{name}", body={"gracePeriodSeconds": 0})
    assert str(said).startswith(f"no node has enough {GPU} free now; {pods.node} is large enough"), said
