"""The compiled pipeline: its shape, not its text."""

import ast
import itertools
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import pipeline

ROOT = Path(__file__).parents[2]

TASKS = {
    # task: (display name, the tasks it waits for, cached, where its inputs come from)
    "resolve": ("Resolve", set(), False, {"dataset_tag", "recipe", "overrides", "code_rev"}),
    "record": ("Record dataset", {"resolve"}, True, {"resolve.config", "resolve.code_rev"}),
    "train": (
        "Train candidates",
        {"resolve", "record"},
        True,
        {"resolve.config", "resolve.code_rev", "record.result"},
    ),
    "evaluate": (
        "Evaluate, select",
        {"resolve", "train"},
        False,
        {"resolve.config", "resolve.code_rev", "train.result"},
    ),
    "test": (
        "Test selected",
        {"resolve", "evaluate"},
        True,
        {"resolve.config", "resolve.code_rev", "evaluate.result"},
    ),
}


def compiled(steps=pipeline.STEPS):
    """The pipeline, and what it asks of Kubernetes."""
    specification, platform = yaml.safe_load_all(pipeline.compile_yaml(steps))
    return specification, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def tasks_of(steps=pipeline.STEPS):
    return compiled(steps)[0]["root"]["dag"]["tasks"]


def source(value):
    if "componentInputParameter" in value:
        return value["componentInputParameter"]
    if "taskOutputParameter" in value:
        return "{producerTask}.{outputParameterKey}".format(**value["taskOutputParameter"])
    return value["runtimeValue"]["constant"]


def test_the_graph_is_the_one_we_mean():
    tasks = tasks_of()
    assert set(tasks) == set(TASKS)
    for name, (display, waits_for, cached, inputs) in TASKS.items():
        task = tasks[name]
        assert task["taskInfo"]["name"] == display
        assert set(task.get("dependentTasks", [])) == waits_for
        assert task["cachingOptions"].get("enableCache", False) is cached
        assert {source(value) for value in task["inputs"]["parameters"].values()} == inputs


@pytest.mark.parametrize(
    "steps", [subset for n in range(1, 5) for subset in itertools.combinations(pipeline.STEPS, n)], ids=",".join
)
def test_a_step_that_is_not_asked_for_is_not_in_the_graph(steps):
    tasks = tasks_of(steps)
    assert set(tasks) == {"resolve", *steps}
    before = dict(zip(pipeline.STEPS[1:], pipeline.STEPS, strict=False))
    for step in set(steps) & set(before):
        handed_over = source(tasks[step]["inputs"]["parameters"][f"{before[step]}_result"])
        assert handed_over == (f"{before[step]}.result" if before[step] in steps else "")
        if before[step] not in steps:
            assert not tasks[step]["cachingOptions"].get("enableCache", False)


def test_runtime_parameters_are_few_documented_and_optional():
    parameters = compiled()[0]["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) == {"dataset_tag", "recipe", "overrides", "code_rev"}
    assert all(parameter["description"] and parameter["isOptional"] for parameter in parameters.values())


def test_compiled_text_is_ascii_deterministic_and_free_of_this_machine():
    text = pipeline.compile_yaml()
    assert text == pipeline.compile_yaml()
    assert text.isascii()
    assert "{{channel:" not in text
    assert str(ROOT) not in text


def test_images_are_ours():
    executors = compiled()[0]["deploymentSpec"]["executors"]
    images = {name.removeprefix("exec-"): spec["container"]["image"] for name, spec in executors.items()}
    torchless = {step for step, image in images.items() if image.startswith("sightline/base-")}
    assert torchless == {"resolve", "record"}
    assert all(image.startswith(("sightline/base-", "sightline/train-")) for image in images.values())


def test_every_task_mounts_the_claim_that_the_manifests_make_where_the_images_look_for_it():
    claim = yaml.safe_load((ROOT / "manifests/base/work-volume.yaml").read_text())
    for name, executor in compiled()[1].items():
        (mount,) = executor["pvcMount"]
        assert mount["constant"] == claim["metadata"]["name"], name
        assert f" SIGHTLINE_HOME={mount['mountPath']} " in (ROOT / "dockerfiles/Dockerfile").read_text()


@pytest.mark.parametrize("path", sorted(ROOT.glob("components/*/component.py")), ids=lambda path: path.parent.name)
def test_a_component_imports_little_and_its_body_is_thin(path):
    tree = ast.parse(path.read_text())
    modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert modules <= {"typing", "kfp", "components"}
    assert not any(isinstance(node, ast.Import) for node in tree.body)
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert function.body[-1].end_lineno - function.body[1].lineno + 1 <= 12
    (imported,) = [node for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
    assert imported.module == "sightline.steps.task"


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
