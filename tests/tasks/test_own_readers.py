"""Readers of a recipe's own: a real module on sys.path, named module:attribute."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from sightline.config.decode import decode
from sightline.config.metric_choice import check_best_metric, check_select_by
from sightline.data.detections import Detections
from sightline.errors import ConfigurationError, StepError
from sightline.runs.configuration_checks import check_configuration
from sightline.tasks.evaluators import open_evaluator
from sightline.tasks.readers.registry import checked_reader, open_reader, usable_reading
from tests.golden import raises
from tests.tasks.test_plate_reader import found_in as plate_detections
from tests.tasks.test_plate_reader import plate, truth_of

MODULE = """
from sightline.errors import ConfigurationError
from sightline.metrics.exact_match import Reading


class Columns:
    '''The classes in an image from left to right, as one text.'''

    parts = ("names",)
    noun = "row"

    def __init__(self, class_names):
        self.names = list(class_names)

    def read(self, boxes_xyxy, scores, category_ids):
        if not len(scores):
            return []
        order = boxes_xyxy[:, 0].argsort(kind="stable")
        text = "".join(self.names[category_ids[index] - 1] for index in order)
        left, top = boxes_xyxy[:, :2].min(axis=0).tolist()
        right, bottom = boxes_xyxy[:, 2:].max(axis=0).tolist()
        centre = ((left + right) / 2, (top + bottom) / 2)
        return [Reading("row", (text,), centre, (right - left, bottom - top), float(scores.min()), True)]

    def same(self, read, true):
        return read.texts == true.texts


def make(class_names):
    return Columns(class_names)


class NeedsQ(Columns):
    def __init__(self, class_names):
        if "q" not in class_names:
            raise ConfigurationError("reading: rows need the class q")


def broken(class_names):
    return 1 / 0


class Raises(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        raise KeyError("no such row")


class ReturnsText(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        return "abc"


class ReturnsTexts(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        return ["abc"]


class NotFinite(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        return [Reading("row", ("a",), (float("nan"), 0.0), (1.0, 1.0), 1.0, True)]


class NumbersOfNumPy(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        center = tuple(boxes_xyxy[0, :2])
        return [Reading("row", ("a",), center, tuple(boxes_xyxy[0, 2:]), scores.min(), scores.min() > 0)]


class RaisesOurError(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        raise ConfigurationError("no such row")


class Leaves(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        raise SystemExit(2)


class HugeScore(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        return [Reading("row", ("a",), (0.0, 0.0), (1.0, 1.0), 10**400, True)]


class ChangesItsArguments(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        found = super().read(boxes_xyxy, scores, category_ids)
        boxes_xyxy[:], scores[:], category_ids[:] = 0, 0, 1
        return found


class PartsIsText(Columns):
    parts = "names"


class NoParts(Columns):
    parts = None


class PartsRaises(Columns):
    @property
    def parts(self):
        raise RuntimeError("no names")


class NounIsNumber(Columns):
    noun = 3


def leaves(class_names):
    raise SystemExit(2)


class NoPlace(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        return [Reading("row", ("a",), None, (1.0, 1.0), 1.0, True)]


class ScoreIsText(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        return [Reading("row", ("a",), (0.0, 0.0), (1.0, 1.0), "0.9", True)]


class Incomplete(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        return [Reading("row", ("a",), (0.0, 0.0), (1.0, 1.0), 1.0, None)]


class WrongText(Columns):
    def read(self, boxes_xyxy, scores, category_ids):
        return [Reading("row", (7,), (0.0, 0.0), (1.0, 1.0), 1.0, True)]


class SameIsText(Columns):
    def same(self, read, true):
        return "yes"


class SameRaises(Columns):
    def same(self, read, true):
        raise ValueError("cannot compare")


class OnlyReads:
    def __init__(self, class_names):
        pass

    def read(self, boxes_xyxy, scores, category_ids):
        return []


NUMBER = 3
"""

NAMES = {1: "a", 2: "b"}


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """The name of the module, which is importable."""
    (tmp_path / "row_readers.py").write_text(MODULE)
    (tmp_path / "leaving.py").write_text("raise SystemExit(2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "row_readers"


def image_of(*rows):
    """``(category id, x)`` for each object of 10 x 10 pixels, as truth and as detections."""
    annotations = [
        {
            "id": id_,
            "image_id": 1,
            "category_id": category,
            "bbox": [x, 5.0, 10.0, 10.0],
            "area": 100.0,
            "segmentation": [],
            "iscrowd": 0,
        }
        for id_, (category, x) in enumerate(rows, 1)
    ]
    image = {"id": 1, "file_name": "1.png", "width": 100, "height": 20, "sha256": "", "group": ""}
    truth = {
        "images": [image],
        "annotations": annotations,
        "categories": [{"id": i, "name": n} for i, n in NAMES.items()],
    }
    boxes = np.array([(x, 5, x + 10, 15) for _, x in rows], np.float32).reshape(-1, 4)
    categories = np.array([category for category, _ in rows], np.int64)
    return truth, Detections(1, boxes, np.full(len(rows), 0.9, np.float32), categories)


@pytest.mark.parametrize("attribute", ["Columns", "make"])  # a class, and a function that makes a reader
def test_own_reader_measures(rows, attribute):
    truth, right = image_of((1, 0.0), (2, 30.0), (1, 60.0))
    _, wrong = image_of((1, 0.0), (1, 30.0), (1, 60.0))
    evaluator = open_evaluator("object_detection", f"{rows}:{attribute}", NAMES)

    assert evaluator.measure(truth, [right], 0.5).metrics["EIR"] == 1.0
    measured = evaluator.measure(truth, [wrong], 0.5)

    assert measured.metrics["EIR"] == 0.0
    assert measured.statistics["EIR"].values(np.ones((1, 1))).tolist() == [0.0]
    sections = {section.id: section for section in measured.sections}
    assert sections["readings"].noun == "row"
    assert sections["reading-fields"].rows["names"]["wrong"] == 1
    assert evaluator.describe(right)["readings"][0]["texts"] == ["aba"]


@pytest.mark.parametrize(
    "attribute",
    [
        "Raises",
        "RaisesOurError",
        "Leaves",
        "ReturnsText",
        "ReturnsTexts",
        "NotFinite",
        "NoPlace",
        "ScoreIsText",
        "Incomplete",
        "WrongText",
        "SameIsText",
        "SameRaises",
    ],
)
def test_a_reader_that_fails_is_named_and_costs_nothing_else(rows, attribute, caplog):
    truth, found = image_of((1, 0.0), (2, 30.0))
    name = f"{rows}:{attribute}"
    plain = open_evaluator("object_detection", "none", NAMES).measure(truth, [found], 0.5)

    with caplog.at_level(logging.WARNING):
        measured = open_evaluator("object_detection", name, NAMES).measure(truth, [found], 0.5)

    assert measured.metrics == plain.metrics
    assert [section.id for section in measured.sections] == [section.id for section in plain.sections]
    assert set(measured.obstacles) == {"EIR"}
    assert name in measured.obstacles["EIR"]
    assert name in measured.note
    assert name in caplog.text


def test_numbers_of_numpy_become_json(rows):
    truth, found = image_of((1, 0.0), (2, 30.0))
    evaluator = open_evaluator("object_detection", f"{rows}:NumbersOfNumPy", NAMES)

    json.dumps(evaluator.describe(found))
    json.dumps(evaluator.measure(truth, [found], 0.5).document())


def test_predictions_are_described_without_a_reader_that_fails(rows, caplog):
    _, found = image_of((1, 0.0), (2, 30.0))
    evaluator = open_evaluator("object_detection", f"{rows}:Raises", NAMES)

    described = [evaluator.describe(found, brief=True) for _ in range(3)]

    assert [(len(one["detections"]), one["readings"]) for one in described] == [(2, [])] * 3
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_reader_cannot_change_predictions(rows):
    truth, found = image_of((1, 0.0), (2, 30.0))
    before = json.dumps(found.to_json())
    evaluator = open_evaluator("object_detection", f"{rows}:ChangesItsArguments", NAMES)

    assert evaluator.measure(truth, [found], 0.0).metrics["EIR"] == 1
    evaluator.describe(found)

    assert json.dumps(found.to_json()) == before


def test_errors_of_a_reader(rows):
    _, found = image_of((1, 0.0))
    arrays = found.boxes_xyxy, found.scores, found.category_ids
    with raises(StepError, "row_readers:Raises", "KeyError", "no such row"):
        checked_reader(f"{rows}:Raises", "ab").read(*arrays)
    with raises(StepError, "row_readers:ReturnsTexts", "str"):
        checked_reader(f"{rows}:ReturnsTexts", "ab").read(*arrays)
    with raises(StepError, "row_readers:NotFinite", "nan"):
        checked_reader(f"{rows}:NotFinite", "ab").read(*arrays)
    with raises(StepError, "row_readers:HugeScore", "score"):
        checked_reader(f"{rows}:HugeScore", "ab").read(*arrays)
    with raises(StepError, "row_readers:SameIsText", "'yes'"):
        reader = checked_reader(f"{rows}:SameIsText", "ab")
        reader.same(*reader.read(*arrays), *reader.read(*arrays))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module:Columns", ("no_such_module:Columns", "publish-code")),
        ("row_readers:Rows", ("row_readers:Rows", "AttributeError")),
        ("row_readers:NUMBER", ("row_readers:NUMBER", "TypeError")),
        ("row_readers:broken", ("row_readers:broken", "ZeroDivisionError")),
        ("row_readers:NeedsQ", ("the class q",)),
        ("row_readers:OnlyReads", ("row_readers:OnlyReads", "same")),
        ("row_readers:leaves", ("row_readers:leaves", "SystemExit")),
        ("row_readers:PartsIsText", ("row_readers:PartsIsText", "'names'")),
        ("row_readers:NoParts", ("row_readers:NoParts", "None")),
        ("row_readers:PartsRaises", ("row_readers:PartsRaises", "no names")),
        ("row_readers:NounIsNumber", ("row_readers:NounIsNumber", "3")),
        ("leaving:Columns", ("leaving:Columns", "SystemExit")),
    ],
)
def test_readers_that_cannot_be_made(rows, name, words, caplog):
    with raises(ConfigurationError, *words):
        open_reader(name, ["a", "b"])
    assert usable_reading(name, ["a", "b"]) == "none"
    assert words[0] in caplog.text


@pytest.mark.parametrize("name", ["subprocess:getoutput", "row_readers:make"])
def test_a_model_file_cannot_have_a_function_called(rows, name, tmp_path, caplog):
    """The class names come from the same file: as a command, they would run."""
    assert usable_reading(name, (f"touch {tmp_path}/called", "b")) == "none"
    assert not (tmp_path / "called").exists()
    assert name in caplog.text
    assert usable_reading(f"{rows}:Columns", ["a", "b"]) == f"{rows}:Columns"


def configuration(reading, *more, recipe="object_detection"):
    return decode(recipe, ["data.classes=[a, b]", f"reading={reading}", *more])


def test_a_recipe_may_name_a_reader_of_its_own(rows):
    config = configuration(f"{rows}:Columns", "evaluate.select_by=[EIR]", "train.best_metric=EIR")

    check_select_by(config)
    check_best_metric(config)
    check_configuration(config)


def test_a_reader_that_is_missing_is_found_before_the_run(rows):
    config = configuration("row_reader:Columns")

    with raises(ConfigurationError, "row_reader:Columns"):
        check_configuration(config)
    check_configuration(config, elsewhere=True)  # it may be importable in the images of the cluster


def test_tasks_without_readings_and_unknown_names():
    with raises(ConfigurationError, "module:Class"):
        configuration("plate")
    with raises(ConfigurationError, "row_readers:Columns", "classification"):
        configuration("row_readers:Columns", recipe="classification")


def test_a_validation_goes_on_without_the_metric_of_a_failing_reader(rows, caplog):
    from sightline.tasks.base import load_task

    truth, found = image_of((1, 0.0), (2, 30.0))
    task = load_task("object_detection")

    values = task.evaluate(truth, [found], f"{rows}:Raises")

    assert values == task.evaluate(truth, [found])
    assert "row_readers:Raises" in caplog.text


def test_predict_works_without_the_code_of_the_reader(caplog):
    from types import SimpleNamespace

    from sightline import readings_of
    from sightline.prediction.document import prediction_document

    card = SimpleNamespace(
        task="object_detection", reading="row_readers_of_others:Columns", classes=("a", "b"), category_ids=(1, 2),
        architecture=None,
    )  # fmt: skip
    _, found = image_of((1, 0.0))

    document = prediction_document(found, card)

    assert [entry["class"] for entry in document["detections"]] == ["a"]
    assert "readings" not in document
    assert readings_of(found, card) == []
    assert "row_readers_of_others:Columns" in caplog.text


def test_plates_that_the_reader_has_too_few_classes_for_are_not_read():
    evaluator = open_evaluator("object_detection", "plates", {id_: name for name, id_ in _plate_ids().items()})
    truth, found = truth_of([plate()]), plate_detections(1, plate())

    assert evaluator.measure(truth, [found], 0.5).metrics["EIR"] == 1.0
    assert "EIR" not in evaluator.for_classes(["0", "1"]).measure(truth, [found], 0.5).metrics


def _plate_ids():
    from tests.tasks.test_plate_reader import IDS

    return IDS
