"""What a change of a file makes a step do again: real files of the package are changed, both ways."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sightline
from sightline.code.reach import STEPS, reach
from sightline.config.task_declarations import TASK_NAMES

PACKAGE = Path(sightline.__file__).parent


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    package = tmp_path_factory.mktemp("copy") / "sightline"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


@pytest.fixture(scope="module")
def before(copy):
    return digests(copy)


def digests(package, steps=STEPS):
    return {step: reach(package, f"sightline.steps.{step}").digest for step in steps}


def changed(copy, before, name, steps=STEPS):
    """The steps that are done again when a line is added to a file."""
    path = copy / name
    source = path.read_bytes()
    path.write_bytes(source + b"\n# changed\n")
    try:
        after = digests(copy, steps)
    finally:
        path.write_bytes(source)
    return {step for step in steps if after[step] != before[step]}


def test_the_same_files_have_the_same_digest(copy, before):
    assert digests(copy) == before
    assert len(set(before.values())) == len(STEPS)


def test_what_no_step_reaches_does_nothing_again(copy, before):
    names = [
        "cli/runs.py", "cli/kubeflow/commands.py", "kubeflow/client/server.py", "runs/pages.py", "runs/local_run.py",
        "report/pages/run_page.py", "report/pages/run_index.py", "report/lineage/page.py", "report/templates/style.css",
        "report/templates/page.js", "garbage/sweep.py", "demo/plates/draw.py", "prediction/batch.py",
        "config/recipes/plates.yaml",
    ]  # fmt: skip
    for name in names:
        assert changed(copy, before, name) == set(), name


def test_what_is_measured_after_training_trains_nothing(copy, before):
    for name in ("metrics/divided.py", "tasks/detection/measurement.py"):
        assert changed(copy, before, name) == {"evaluate", "test"}


@pytest.mark.parametrize("name", ["metrics/exact_match.py", "tasks/readers/plates.py"])
def test_a_reading_that_a_validation_may_choose_by_trains_again(copy, before, name):
    assert changed(copy, before, name) == {"train", "evaluate", "test"}


@pytest.mark.parametrize("name", ["tracking/tensorboard.py", "tracking/base.py", "engine/hooks/pictures.py"])
def test_what_only_watches_a_training_trains_nothing(copy, before, name):
    assert changed(copy, before, name) == set()


@pytest.mark.parametrize(
    "name",
    ["report/pages/data_report.py", "report/pages/evaluation_report.py", "report/drawing/draw.py"],
)
def test_pages_train_nothing(copy, before, name):
    assert changed(copy, before, name, ["train"]) == set()


@pytest.mark.parametrize(
    "name",
    [
        "engine/loop.py", "engine/optimizer.py", "models/backbone.py", "models/preprocessing.py",
        "tasks/instance_segmentation/network.py", "tasks/object_detection/task.py",
        "tasks/detection/two_stages.py", "data/loading/transforms.py",
        "data/loading/batches.py", "config/schema.py", "steps/train.py", "steps/__init__.py", "storage/gcs.py",
    ],
)  # fmt: skip
def test_what_training_reaches_trains_again(copy, before, name):
    assert changed(copy, before, name, ["train"]) == {"train"}


def test_the_reader_of_labelme_is_record_s_alone(copy, before):
    assert changed(copy, before, "data/formats/labelme/shapes.py") == {"record"}
    assert changed(copy, before, "data/formats/yolo.py") == {"record"}  # imported by its name in a table


@pytest.mark.slow
def test_everything_that_a_step_imports_is_found():
    """Against Python itself: the modules that a process has after it imported a step."""
    output = subprocess.run(
        [sys.executable, "-c", LOADED, *STEPS], capture_output=True, text=True, check=True, env=environment()
    ).stdout
    for step, *paths in (line.split("\t") for line in output.splitlines()):
        loaded = {Path(path).relative_to(PACKAGE.parent).as_posix() for path in paths}
        assert f"sightline/steps/{step}.py" in loaded
        assert loaded <= set(reach(PACKAGE, f"sightline.steps.{step}").files)
    assert output.count("\n") == len(STEPS)


LOADED = """
import importlib, os, sys
import matplotlib, torch, torchvision  # what takes long, once

for step in sys.argv[1:]:
    if os.fork() == 0:
        importlib.import_module(f"sightline.steps.{step}")
        paths = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "sightline"]
        print(step, *paths, sep="\\t", flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


def environment():
    return {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}


@pytest.mark.parametrize(
    ("source", "reached"),
    [
        ("import sightline.b", True),
        ("from sightline import b", True),
        ("from sightline.b import c", True),
        ("def f():\n    from sightline.b import (\n        c,\n        d,\n    )", True),
        ("TABLE = {'x': 'sightline.b:Class'}", True),
        ("TABLE = ('sightline.b', 'Class')", True),
        ("TABLE = 'sightline.*'", True),
        ("TABLE = 'sightline.*:ALL'", True),
        ("TABLE = 'sightline.*.b:ALL'", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sightline.b import c", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import sightline.b", True),
        ("# import sightline.b", False),
        ("'see sightline.b for more'", False),
        ("import other.sightline.b", False),
    ],
)
def test_which_imports_count(tmp_path, source, reached):
    package = tmp_path / "sightline"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text(source)
    (package / "b.py").write_text("")
    assert ("sightline/b.py" in reach(package, "sightline.a").files) is reached


@pytest.mark.parametrize("name", ["mine/part.py", "mine/part/__init__.py"])
def test_a_star_in_a_table_is_every_folder_that_has_the_module(tmp_path, name):
    package = tmp_path / "sightline"
    for path in ("__init__.py", "tasks/__init__.py", "tasks/mine/__init__.py", f"tasks/{name}", "tasks/mine/other.py"):
        (package / path).parent.mkdir(exist_ok=True, parents=True)
        (package / path).write_text("")
    (package / "tasks/yours.py").write_text("")
    (package / "a.py").write_text("TASKS = dict.fromkeys(('mine', 'yours'), 'sightline.tasks.*.part:PART')")
    files = reach(package, "sightline.a").files
    assert f"sightline/tasks/{name}" in files
    assert {"sightline/tasks/mine/__init__.py", "sightline/a.py"} <= set(files)
    assert not {"sightline/tasks/yours.py", "sightline/tasks/mine/other.py"} & set(files)


def test_record_reaches_no_network_and_training_reaches_no_evaluator():
    files = {step: set(reach(PACKAGE, f"sightline.steps.{step}").files) for step in STEPS}
    for task in TASK_NAMES:
        parts = {part: f"sightline/tasks/{task}/{part}.py" for part in ("declaration", "task", "evaluator")}
        assert [step for step in STEPS if parts["declaration"] in files[step]] == list(STEPS)
        assert [step for step in STEPS if parts["task"] in files[step]] == ["train", "evaluate", "test"]
        assert [step for step in STEPS if parts["evaluator"] in files[step]] == ["evaluate", "test"]


def test_a_circle_of_imports_ends(tmp_path):
    package = tmp_path / "sightline"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("import sightline.b")
    (package / "b.py").write_text("import sightline.a")
    assert reach(package, "sightline.a").files == ("sightline/__init__.py", "sightline/a.py", "sightline/b.py")


def test_an_unknown_module_is_refused(tmp_path):
    with pytest.raises(ModuleNotFoundError):
        reach(tmp_path / "sightline", "sightline.steps.none")
