"""docs/evaluation.md: its examples run, its files work as described, and its picture is current."""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path

import pytest

from sightline.config.decode import decode
from sightline.config.metric_choice import check_select_by
from sightline.config.task_declarations import task_declaration, task_names
from sightline.evaluation.user_metrics import measure_with_user_metrics
from sightline.runs.configuration_checks import check_configuration
from sightline.tasks.evaluators import open_evaluator
from tests.metrics.conftest import found_in, truth_of

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "evaluation.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language):
    return [text for found, text in BLOCK.findall(PAGE) if found == language]


def files():
    """Name -> text of each block that begins with the name of its file."""
    named = [re.match(r"# ([\w.]+)\n", text) for text in (*blocks("python"), *blocks("yaml"))]
    texts = (*blocks("python"), *blocks("yaml"))
    return {found[1]: text for found, text in zip(named, texts, strict=True) if found is not None}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files of the page, from which its modules are importable."""
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_examples_give_what_the_page_says():
    examples = "".join(text for text in blocks("python") if text.startswith(">>>"))
    test = doctest.DocTestParser().get_doctest(examples, {}, "evaluation.md", None, 0)

    assert len(test.examples) > 8
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("name", [name for name in files() if name.endswith(".yaml")])
def test_recipes_are_valid(folder, name):
    config = decode(str(folder / name), [])

    check_select_by(config)
    check_configuration(config)


@pytest.mark.usefixtures("folder")
def test_the_metrics_measure_what_the_page_says():
    place = (10, 10, 50, 50)
    truth = truth_of([[(1, place), (1, (100, 10, 50, 50)), (2, place)], [(2, place)]], ["cup", "saucer"])
    found = [found_in(1, [(1, 0.9, place), (1, 0.4, place), (2, 0.9, place)]), found_in(2, [(2, 0.9, place)])]

    measured = measure_with_user_metrics(
        open_evaluator("object_detection", "none", {1: "cup", 2: "saucer"}), truth, found, 0.5,
        ["cup_metrics:cup_recall", "cup_metrics:count_error"],
    )  # fmt: skip

    assert (measured.metrics["cup_recall"], measured.metrics["count_error"]) == (0.5, 0.5)
    assert {"cup_recall", "count_error"} <= set(measured.statistics)
    assert not measured.obstacles


@pytest.mark.usefixtures("folder")
def test_the_reader_measures():
    saucer, cup = (10, 10, 100, 100), (40, 40, 20, 20)
    truth = truth_of([[(1, cup), (2, saucer)], [(1, cup), (2, saucer)]], ["cup", "saucer"])
    found = [found_in(1, [(1, 0.9, cup), (2, 0.9, saucer)]), found_in(2, [(2, 0.9, saucer)])]
    evaluator = open_evaluator("object_detection", "saucer_reader:SaucerReader", {1: "cup", 2: "saucer"})

    measured = evaluator.measure(truth, found, 0.5)

    assert measured.metrics["EIR"] == 0.5
    assert {section.id: section for section in measured.sections}["reading-fields"].rows["cups"]["wrong"] == 1


def test_the_picture_is_drawn_by_its_script():
    place = importlib.util.spec_from_file_location("draw_divided", DOCS / "draw_divided.py")
    script = importlib.util.module_from_spec(place)
    place.loader.exec_module(script)

    assert script.PICTURE.read_text(encoding="utf-8") == script.picture(), "run: python docs/draw_divided.py"


def test_every_metric_is_defined():
    """Each metric of a task, or the group that it belongs to, is on the page."""
    shared = {"_macro", "_micro", "_weighted", "AP50", "AP75"}
    plain = {"accuracy", "auroc", "average_precision"}  # in words, as scikit-learn calls them
    for task in task_names():
        for name in task_declaration(task).metric_names:
            ending = next((end for end in shared if name.endswith(end)), name)
            assert name in plain or f"`{ending}`" in PAGE or f"`..._{ending}`" in PAGE or name in PAGE, name
