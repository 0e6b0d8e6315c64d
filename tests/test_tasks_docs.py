"""docs/tasks.md: its commands and files are tried, and its tables compared with the declarations."""

import json
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner
from PIL import Image

from sightline.cli import cli
from sightline.config.decode import recipe_names
from sightline.config.task_declarations import task_declaration, task_names
from sightline.tasks.classification.loss_settings import Loss
from sightline.tasks.object_detection.settings import BoxDetector

PAGE = (Path(__file__).parents[1] / "docs" / "tasks.md").read_text(encoding="utf-8")
PARTS = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:]
SECTIONS = dict(zip(PARTS[::2], PARTS[1::2], strict=True))


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text.replace("\\\n", " "), re.DOTALL | re.MULTILINE)


def sightline(*words):
    result = CliRunner().invoke(cli, list(words), catch_exceptions=False)
    assert result.exit_code == 0, f"{words}\n{result.output}"
    return result.output


def check_run(line):
    """Check the configuration of a run instead of starting it."""
    words = shlex.split(line)
    assert words[:5] == ["python", "pipeline.py", "run", "--local", "--recipe"], line
    sightline("config", "check", *words[5:])


@pytest.mark.parametrize("title", SECTIONS)
def test_the_commands_of_a_section_work_in_their_order(title, tmp_path, monkeypatch, sightline_home):
    monkeypatch.chdir(tmp_path)
    sightline("data", "init", "vision-data", "--remote", "vision-remote")
    (block,) = blocks(SECTIONS[title], "sh")
    done = []
    for line in block.splitlines():
        _, *words = shlex.split(line)
        if line.startswith("python"):
            check_run(line)
        elif words[:2] != ["model", "predict"]:  # test_docs.py tries its arguments
            sightline(*words)
        done.append(" ".join(words[:2]))
    assert done == ["demo draw", "check photos", "data add", "pipeline.py run", "model predict"]


def own_runs():
    return [
        (title, line) for title, text in SECTIONS.items() for block in blocks(text, "") for line in block.splitlines()
    ]


@pytest.mark.parametrize("line", [line for _, line in own_runs() if line.startswith("python")])
def test_runs_on_data_of_ones_own_are_valid(line):
    check_run(" ".join(line.split()))


@pytest.mark.parametrize("number", range(2))
def test_recipes_are_valid(number, tmp_path):
    recipe = [one for text in SECTIONS.values() for one in blocks(text, "yaml")][number]
    (tmp_path / "own.yaml").write_text(recipe)
    sightline("config", "check", str(tmp_path / "own.yaml"))


@pytest.mark.parametrize(
    ("title", "labels"),
    [
        ("Instance segmentation", ["data.classes=[cat]"]),
        ("Keypoints", ["data.classes=[dog]", "data.keypoints.names=[nose, left_ear, right_ear]"]),
    ],
)
def test_the_labelme_file_of_a_section_has_no_faults(title, labels, tmp_path):
    (document,) = blocks(SECTIONS[title], "json")
    size = json.loads(document)["imageWidth"], json.loads(document)["imageHeight"]
    Image.new("RGB", size, "gray").save(tmp_path / "0001.jpg")
    (tmp_path / "0001.json").write_text(document)
    recipe = task_recipe(title)
    options = [part for label in labels for part in ("--set", label)]
    assert "no fault\n" in sightline("check", str(tmp_path), "--recipe", recipe, *options)


def task_recipe(title):
    return title.lower().replace(" ", "_")


def test_the_table_of_a_section_has_every_network_metric_and_loss():
    texts = {title: re.sub(r"```.*?```", "", text, flags=re.DOTALL) for title, text in SECTIONS.items()}
    named = {title: set(re.findall(r"`([^`\n]+)`", text)) for title, text in texts.items()}
    of_task = {
        "instance_segmentation": named["Instance segmentation"],
        "object_detection": named["Object detection"],
        "keypoints": named["Keypoints"],
        "classification": named["Classification"],
    }
    assert set(of_task) == set(task_names())
    for task, words in of_task.items():
        declared = task_declaration(task)
        assert set(declared.metric_names) <= words, task
        default = {getattr(declared.network(), "network", "")}
        assert {f"model.network={name}" for name in declared.families if name not in default} <= words, task
    detectors = get_args(BoxDetector.model_fields["detector"].annotation)
    assert {f"model.detector={name}" for name in detectors} <= of_task["object_detection"]
    assert set(get_args(Loss.model_fields["name"].annotation)) <= of_task["classification"]


def test_the_first_table_has_the_recipes_and_metrics_of_each_task():
    rows = re.findall(r"^\| \[[^|]*\| [^|]* \| `(\w+)` \| ([^|]*) \| `(\w+)`", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == [*task_names(), "classification"]
    for task, recipes, metric in rows:
        names = re.findall(r"`(\w+)`", recipes)
        assert names == [task, f"{task}_small"]
        assert set(names) <= set(recipe_names())
        assert metric == task_declaration(task).main_metric


@pytest.mark.parametrize("task", task_names())
def test_every_network_can_be_chosen_from_the_recipe_of_its_task(task):
    labels = {"keypoints": ["data.keypoints.names=[nose, tail]"]}.get(task, [])
    for name in task_declaration(task).families:
        given = ["data.classes=[cat, dog]", *labels, f"model.network={name}"]
        sightline("config", "check", task, *(part for one in given for part in ("--set", one)))
