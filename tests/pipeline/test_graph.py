"""The compiled pipeline: its shape, not its text."""

import ast
import functools
import itertools
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import components
import pipeline

ROOT = Path(__file__).parents[2]

FROM_RESOLVE = {"resolve.config", "resolve.code_rev"}
TASKS = {
    # task: (display name, the tasks it waits for, cached, where its inputs come from)
    "resolve": (
        "Resolve",
        set(),
        False,
        {"dataset_tag", "recipe", "overrides", "code_rev", "record,train,evaluate,test", "{{$.pipeline_job_name}}"},
    ),
    "record": ("Record dataset", {"resolve"}, True, FROM_RESOLVE),
    "train": ("Train candidates", {"resolve", "record"}, True, FROM_RESOLVE | {"record.result"}),
    "evaluate": ("Evaluate, select", {"resolve", "train"}, False, FROM_RESOLVE | {"train.result"}),
    "test": ("Test selected", {"resolve", "evaluate"}, True, FROM_RESOLVE | {"evaluate.result"}),
}
WITH_TORCH = {"train", "evaluate", "promote", "test"}
WITH_ACCELERATOR = {"train", "evaluate", "test"}
CLAIMS = {"work_volume": "/var/lib/sightline", "code_volume": "/code"}
SECRETS = {
    # parameter: (key, variable or file)
    "database_secret": ("password", "SIGHTLINE_DATABASE_PASSWORD"),
    "git_secret": ("token", "SIGHTLINE_GIT_TOKEN"),
    "storage_secret": ("", "/etc/sightline-storage"),
}
RESOURCES = {"resourceCpuLimit", "resourceMemoryLimit", "accelerator"}


@functools.cache
def compiled(steps=pipeline.STEPS):
    """The pipeline, and what it asks of Kubernetes."""
    specification, platform = yaml.safe_load_all(pipeline.compile_yaml(steps))
    return specification, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def tasks_of(steps=pipeline.STEPS):
    """The steps, which lie in an exit handler."""
    specification = compiled(tuple(steps))[0]
    assert set(specification["root"]["dag"]["tasks"]) == {"exit-handler-1", "finish"}
    return specification["components"]["comp-exit-handler-1"]["dag"]["tasks"]


def own_inputs(name, task):
    """Inputs of the component itself: name -> where it comes from."""
    wanted = compiled()[0]["components"][f"comp-{name}"]["inputDefinitions"]["parameters"]
    return {key: source(value) for key, value in task["inputs"]["parameters"].items() if key in wanted}


def parameter(value):
    """The pipeline parameter that something of a pod comes from."""
    if "runtimeValue" in value:
        value = {"componentInputParameter": value["runtimeValue"]["constant"].split("'")[1]}
    return value["componentInputParameter"].removeprefix("pipelinechannel--")


def source(value):
    if "componentInputParameter" in value:
        return value["componentInputParameter"].removeprefix("pipelinechannel--")
    if "taskOutputParameter" in value:
        return "{producerTask}.{outputParameterKey}".format(**value["taskOutputParameter"])
    if "taskFinalStatus" in value:
        return "status of {producerTask}".format(**value["taskFinalStatus"])
    return value["runtimeValue"]["constant"]


def test_the_graph_is_the_one_we_mean():
    tasks = tasks_of()
    assert set(tasks) == {*TASKS, "condition-2"}
    for name, (display, waits_for, cached, inputs) in TASKS.items():
        task = tasks[name]
        assert task["taskInfo"]["name"] == display
        assert set(task.get("dependentTasks", [])) == waits_for
        assert task["cachingOptions"].get("enableCache", False) is cached
        assert set(own_inputs(name, task).values()) == inputs


RESULTS = {"record": None, "train": "record_result", "evaluate": "train_result", "promote": "train_result"}
RESULTS |= {"test": "evaluate_result"}
"""Every task with the result of another among its inputs: which input that is."""
POINTERS = {
    ("record", "training_set"): "system.Dataset",
    ("train", "candidate"): "system.Model",
    ("evaluate", "selected_model"): "system.Model",
    ("promote", "champion_model"): "system.Model",
}


@pytest.mark.parametrize(("task", "given"), RESULTS.items())
def test_results_travel_as_dicts_which_the_dashboard_shows_as_json(task, given):
    component = compiled()[0]["components"][f"comp-{task}"]
    if given:
        parameter = component["inputDefinitions"]["parameters"][given]
        assert (parameter["parameterType"], parameter["defaultValue"]) == ("STRUCT", {})
    if task != "promote":
        assert component["outputDefinitions"]["parameters"]["result"]["parameterType"] == "STRUCT"


def test_data_set_and_models_are_artifacts_that_no_task_takes():
    """A task that took one would have Kubeflow copy our object into its pod."""
    components_of = compiled()[0]["components"]
    found = {
        (name.removeprefix("comp-"), key): artifact["artifactType"]["schemaTitle"]
        for name, component in components_of.items()
        for key, artifact in component.get("outputDefinitions", {}).get("artifacts", {}).items()
    }
    assert found.items() >= POINTERS.items()
    assert not [name for name, component in components_of.items() if component["inputDefinitions"].get("artifacts")]


def test_the_graph_shows_whether_there_is_a_new_champion():
    condition = tasks_of()["condition-2"]
    assert condition["taskInfo"]["name"] == "New champion"
    assert condition["triggerPolicy"]["condition"].endswith("['pipelinechannel--evaluate-promoted'] == 'yes'")
    (promote,) = compiled()[0]["components"]["comp-condition-2"]["dag"]["tasks"].values()
    assert promote["taskInfo"]["name"] == "Promote"
    assert promote["cachingOptions"].get("enableCache", False) is False
    assert set(own_inputs("promote", promote).values()) == {"resolve-config", "resolve-code_rev", "train-result"}


@pytest.mark.parametrize(
    ("steps", "title"),
    [
        (pipeline.STEPS, "Open me: record, train, evaluate, test"),
        (("test",), "Open me: test"),
        (("evaluate", "test"), "Open me: evaluate, test"),
    ],
)
def test_the_box_that_the_dashboard_shows_first_says_what_is_in_it(steps, title):
    root = compiled(steps)[0]["root"]["dag"]["tasks"]
    assert root["exit-handler-1"]["taskInfo"]["name"] == title
    assert root["finish"]["taskInfo"]["name"] == "Finish run"


def test_finish_comes_after_the_steps_however_they_end():
    finish = compiled()[0]["root"]["dag"]["tasks"]["finish"]
    assert finish["dependentTasks"] == ["exit-handler-1"]
    assert finish["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    asked = {"dataset_tag", "recipe", "overrides", "status of exit-handler-1"}
    assert set(own_inputs("finish", finish).values()) == asked
    assert finish["cachingOptions"].get("enableCache", False) is False


def test_what_every_pod_asks_of_kubernetes():
    specification, executors = compiled()
    assert {name.removeprefix("exec-") for name in executors} == {*TASKS, "promote", "finish"}
    for name, executor in executors.items():
        step = name.removeprefix("exec-")
        mounts = {source(mount["pvcNameParameter"]): mount["mountPath"] for mount in executor["pvcMount"]}
        assert mounts == CLAIMS, step
        secrets = {
            source(secret["secretNameParameter"]): (key["secretKey"], key["envVar"])
            for secret in executor["secretAsEnv"]
            for key in secret["keyToEnv"]
            if secret["optional"]
        }
        for secret in executor["secretAsVolume"]:
            assert secret["optional"]
            secrets[source(secret["secretNameParameter"])] = ("", secret["mountPath"])
        assert secrets == SECRETS | {"notify_secret": ("url", "SIGHTLINE_NOTIFY_URL")}, step
        assert executor["fieldPathAsEnv"] == [
            {"name": "SIGHTLINE_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"}
        ]
        assert executor["securityContext"] == {"runAsUser": "1000", "runAsGroup": "1000", "runAsNonRoot": True}
        assert int(executor["activeDeadlineSeconds"]) > 0 if "activeDeadlineSeconds" in executor else True
        assert executor["podMetadata"]["labels"]["app.kubernetes.io/component"] == step
        assert ("emptyDirMounts" in executor) is (step in WITH_ACCELERATOR)
        resources = specification["deploymentSpec"]["executors"][name]["container"]["resources"]
        assert {key for key in resources if key in RESOURCES} == (
            RESOURCES if step in WITH_ACCELERATOR else RESOURCES - {"accelerator"}
        )
        assert ("nodeSelector" in executor) is (step in WITH_ACCELERATOR)
        assert ("tolerations" in executor) is (step in WITH_ACCELERATOR)


def test_promote_asks_for_no_more_than_record():
    """It compares numbers and copies a file; where it must measure a champion, the CPU is enough."""
    specification = compiled()[0]
    executors = specification["deploymentSpec"]["executors"]
    (promote,) = specification["components"]["comp-condition-2"]["dag"]["tasks"].values()
    own = promote["inputs"]["parameters"]

    def asked(step, key):
        return executors[f"exec-{step}"]["container"]["resources"][key]

    for key in ("resourceCpuLimit", "resourceMemoryLimit"):
        assert asked("promote", key) == asked("record", key) != asked("train", key)
    assert not [name for name in own if "accelerator" in name or "toleration" in name or "node_selector" in name]


def test_what_a_pod_gets_reaches_it_through_the_exit_handler():
    """Kubeflow's compiler forgets to hand down what only the pods of a group ask for."""
    specification = compiled()[0]
    for group in ("comp-exit-handler-1", "comp-condition-2"):
        component = specification["components"][group]
        for task in component["dag"]["tasks"].values():
            inputs = task["inputs"]["parameters"].values()
            named = {value["componentInputParameter"] for value in inputs if "componentInputParameter" in value}
            assert named <= set(component["inputDefinitions"]["parameters"])


def test_containers_that_fail_are_tried_again_where_a_step_goes_on():
    retries = {name: tasks_of()[name].get("retryPolicy", {}).get("maxRetryCount", 0) for name in TASKS}
    assert retries == {"resolve": 0, "record": 2, "train": 3, "evaluate": 2, "test": 2}


@pytest.mark.parametrize(
    "steps", [subset for n in range(1, 5) for subset in itertools.combinations(pipeline.STEPS, n)], ids=",".join
)
def test_a_step_that_is_not_asked_for_is_not_in_the_graph(steps):
    tasks = tasks_of(steps)
    assert set(tasks) == {"resolve", *steps} | ({"condition-2"} if "evaluate" in steps else set())
    before = dict(zip(pipeline.STEPS[1:], pipeline.STEPS, strict=False))
    for step in set(steps) & set(before):
        handed_over = own_inputs(step, tasks[step])[f"{before[step]}_result"]
        assert handed_over == (f"{before[step]}.result" if before[step] in steps else {})
        if before[step] not in steps:
            assert not tasks[step]["cachingOptions"].get("enableCache", False)


def test_runtime_parameters_are_few_documented_and_optional():
    parameters = compiled()[0]["root"]["inputDefinitions"]["parameters"]
    assert {"dataset_tag", "recipe", "overrides", "code_rev"} < set(parameters)
    assert all(entry["description"] and entry["isOptional"] for entry in parameters.values())
    assert parameters["code_rev"]["defaultValue"] == "image"


def test_compiled_text_is_ascii_deterministic_and_free_of_this_machine():
    text = pipeline.compile_yaml()
    assert text == pipeline.compile_yaml()
    assert text.isascii()
    assert "{{channel:" not in text
    assert str(ROOT) not in text


def test_images_are_ours_and_may_come_from_any_registry():
    specification = compiled()[0]
    executors = specification["deploymentSpec"]["executors"]
    images = {name.removeprefix("exec-"): spec["container"]["image"].split("'")[1] for name, spec in executors.items()}
    assert images == {
        name: f"pipelinechannel--{'train' if name in WITH_TORCH else 'base'}_image"
        for name in [*TASKS, "promote", "finish"]
    }
    defaults = specification["root"]["inputDefinitions"]["parameters"]
    for kind in ("base", "train"):
        assert defaults[f"{kind}_image"]["defaultValue"].startswith(f"sightline/{kind}-")


def test_the_images_look_where_the_volumes_are_mounted():
    words = (ROOT / "dockerfiles/Dockerfile").read_text().split()
    for variable, path in (
        ("SIGHTLINE_HOME", components.WORK_PATH),
        ("SIGHTLINE_CODE", components.CODE_PATH),
        ("SIGHTLINE_SETTINGS", f"{components.SETTINGS_PATH}/settings.yaml"),
    ):
        assert f"{variable}={path}" in words


@pytest.mark.parametrize("path", sorted(ROOT.glob("components/*/component.py")), ids=lambda path: path.parent.name)
def test_a_component_imports_little_and_its_body_is_thin(path):
    tree = ast.parse(path.read_text())
    modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert modules <= {"typing", "kfp", "components"}
    assert not any(isinstance(node, ast.Import) for node in tree.body)
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    body = path.read_text().splitlines()[function.body[1].lineno - 1 : function.body[-1].end_lineno]
    assert len([line for line in body if line.strip()]) <= 12
    imported = [node.module for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
    if path.parent.name == "finish":  # no published code can keep a run from being closed
        assert imported == ["sightline.kubeflow.runs.rows", "sightline.runs.kubeflow_run"]
    else:
        assert imported == ["sightline_bootstrap", "sightline.steps.task"]


def test_compile_writes_the_file(tmp_path):
    output = tmp_path / "out.yaml"
    result = CliRunner().invoke(pipeline.cli, ["compile", "-o", str(output), "--steps", "record"])
    assert result.exit_code == 0
    assert output.read_text() == pipeline.compile_yaml(["record"])


@pytest.mark.parametrize("steps", ["recrod", "", "record,,x"])
def test_an_unknown_step_is_refused_with_the_choices(steps):
    result = CliRunner().invoke(pipeline.cli, ["compile", "--steps", steps])
    assert result.exit_code == 2
    assert "record,train,evaluate,test" in result.output
