"""Metrics of a recipe's own: a real module on sys.path, named module:function."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from sightline.config.decode import decode
from sightline.config.digest import config_digest
from sightline.config.metric_choice import check_select_by
from sightline.config.own_code import open_user_metrics, own_code_digests
from sightline.config.task_declarations import is_higher_better
from sightline.data.detections import Detections
from sightline.errors import ConfigurationError
from sightline.evaluation.user_metrics import measure_with_user_metrics
from sightline.report.sections import TableSection
from sightline.runs.configuration_checks import check_configuration
from sightline.tasks.evaluators import open_evaluator
from tests.golden import raises
from tests.metrics.conftest import found_in, truth_of

MODULE = """
import sys

import numpy as np


def image_recall(truth, predictions):
    '''Share of the objects for which there is a detection, whatever its place.'''
    found = {prediction.image_id: len(prediction) for prediction in predictions}
    true = {image["id"]: 0 for image in truth["images"]}
    for annotation in truth["annotations"]:
        true[annotation["image_id"]] += 1
    return {image: (min(found.get(image, 0), count), count) for image, count in true.items()}


def count_error(truth, predictions):
    return abs(len(truth["annotations"]) - sum(map(len, predictions)))


def numpy_values(truth, predictions):
    return {image["id"]: np.array([1, 2]) for image in truth["images"]}


def numpy_number(truth, predictions):
    return np.float32(0.25)


def changes_everything(truth, predictions):
    truth["annotations"].clear()
    predictions[0].scores[:] = 0
    return 1


def right_or_wrong(truth, predictions):
    return {image["id"]: (image["id"] == 1, True) for image in truth["images"]}


def some_images(truth, predictions):
    return {truth["images"][0]["id"]: (1, 2)}


def raises(truth, predictions):
    return truth["captions"]


def controls_terminals(truth, predictions):
    '''Means \\x1b[31mtrouble.'''
    raise ValueError("one\\n" + "\\x1b]0;title\\x07" + "x" * 10_000)


def leaves(truth, predictions):
    sys.exit(3)


def box_AP_medium(truth, predictions):
    return 1.0


def nan(truth, predictions):
    return float("nan")


def infinite(truth, predictions):
    return np.inf


def nothing(truth, predictions):
    pass


def text(truth, predictions):
    return "0.5"


def true(truth, predictions):
    return True


def unknown_image(truth, predictions):
    return {77: (1, 1)}


def single(truth, predictions):
    return {1: 0.5}


def triple(truth, predictions):
    return {1: (1, 2, 3)}


def pair_of_texts(truth, predictions):
    return {1: "12"}


def nan_in_an_image(truth, predictions):
    return {1: (float("nan"), 1)}


def negative(truth, predictions):
    return {1: (1, -1)}


def huge(truth, predictions):
    return 10**400


def huge_in_an_image(truth, predictions):
    return {1: (10**400, 1)}


def huge_sum(truth, predictions):
    return {1: (1e308, 1), 2: (1e308, 1)}


def array_without_dimension(truth, predictions):
    return {1: np.array(0.5)}


def bytes_of_digits(truth, predictions):
    return {1: b"12"}


class Unreadable(dict):
    def items(self):
        raise RuntimeError("nothing here")


def unreadable(truth, predictions):
    return Unreadable()


def no_image_counts(truth, predictions):
    return {1: (0, 0)}


def wants_more(truth, predictions, images):
    return 1.0


NUMBER = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Makes ``module:function`` of a function of a module that is importable."""
    (tmp_path / "own_metrics.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_metrics", raising=False)
    return lambda name: f"own_metrics:{name}"


@pytest.fixture
def split():
    """Three images with 2, 1 and 0 objects; the first one and a false one are found."""
    truth = truth_of([[(1, (10, 10, 50, 50)), (1, (100, 10, 50, 50))], [(1, (10, 10, 50, 50))], []], ["car"])
    found = [found_in(1, [(1, 0.9, (10, 10, 50, 50))]), found_in(2, []), found_in(3, [(1, 0.8, (0, 0, 9, 9))])]
    return truth, found


def measured_by(split, *names):
    return measure_with_user_metrics(open_evaluator("object_detection", "none", {1: "car"}), *split, 0.5, names)


def test_numerators_and_denominators_give_value_and_statistic(own, split):
    measured = measured_by(split, own("image_recall"))

    assert measured.metrics["image_recall"] == pytest.approx(1 / 3)
    weights = [[1, 1, 1], [2, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(
        measured.statistics["image_recall"].values(np.array(weights, float)), [1 / 3, 2 / 5, np.nan]
    )
    section = measured.sections[-1]
    assert isinstance(section, TableSection)
    assert section.rows == {"image_recall": {"value": pytest.approx(1 / 3)}}
    assert "whatever its place" in section.lead
    json.dumps(measured.document(), allow_nan=False)


@pytest.mark.parametrize(
    ("name", "value", "has_statistic"),
    [
        ("count_error", 1.0, False),
        ("numpy_number", 0.25, False),
        ("numpy_values", 0.5, True),
        ("right_or_wrong", pytest.approx(1 / 3), True),
        ("some_images", 0.5, True),  # an image without a pair does not count
    ],
)
def test_what_a_function_may_return(own, split, name, value, has_statistic):
    measured = measured_by(split, own(name))

    assert measured.metrics[name] == value
    assert type(measured.metrics[name]) is float
    assert (name in measured.statistics) is has_statistic
    assert ("no interval" in measured.sections[-1].lead) is not has_statistic
    assert not measured.obstacles


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "KeyError: 'captions'"),
        ("leaves", "SystemExit: 3"),
        ("nan", "nan"),
        ("infinite", "inf"),
        ("nothing", "None"),
        ("text", "str"),
        ("true", "bool"),
        ("unknown_image", "77"),
        ("single", "0.5"),
        ("triple", "(1, 2, 3)"),
        ("pair_of_texts", "'12'"),
        ("nan_in_an_image", "nan"),
        ("negative", "-1"),
        ("no_image_counts", "no image counts"),
        ("huge", "inf"),
        ("huge_in_an_image", "inf"),
        ("huge_sum", "inf"),
        ("array_without_dimension", "0.5"),
        ("bytes_of_digits", "b'12'"),
        ("unreadable", "nothing here"),
        ("wants_more", "TypeError"),
    ],
)
def test_a_metric_that_fails_says_why_and_costs_nothing_else(own, split, name, reason, caplog):
    plain = measured_by(split)

    measured = measured_by(split, own(name), own("image_recall"))

    assert measured.metrics == plain.metrics | {"image_recall": pytest.approx(1 / 3)}
    assert set(measured.obstacles) == {name}
    for text in (measured.obstacles[name], measured.sections[-1].lead, caplog.text):
        assert own(name) in text
        assert reason in text
    assert measured.sections[-1].rows[name] == {}
    assert [section.id for section in measured.sections] == [*(one.id for one in plain.sections), "user-metrics"]
    json.dumps(measured.document(), allow_nan=False)


def test_the_line_that_raised_is_named(own, split):
    line = MODULE.splitlines().index('    return truth["captions"]') + 1
    assert f"own_metrics.py, line {line}" in measured_by(split, own("raises")).obstacles["raises"]


def test_what_a_function_says_is_one_line_that_can_be_printed(own, split):
    measured = measured_by(split, own("controls_terminals"))

    for text in (measured.obstacles["controls_terminals"], measured.sections[-1].lead):
        assert text.isprintable()
        assert len(text) < 1000


def test_a_function_cannot_change_truth_and_predictions(own, split):
    before = json.dumps([split[0], [found.to_json() for found in split[1]]])

    measured = measured_by(split, own("changes_everything"), own("image_recall"))

    assert json.dumps([split[0], [found.to_json() for found in split[1]]]) == before
    assert measured.metrics["image_recall"] == pytest.approx(1 / 3)


def test_a_metric_of_the_task_is_not_replaced(own, split):
    measured = measured_by(split, own("box_AP_medium"))

    assert measured.metrics.get("box_AP_medium") == measured_by(split).metrics["box_AP_medium"]
    assert "rename" in measured.obstacles["box_AP_medium"]


def test_without_metrics_the_measurement_is_that_of_the_task(split):
    assert "user-metrics" not in [section.id for section in measured_by(split).sections]


def test_an_empty_split_has_no_value(own):
    truth = truth_of([], ["car"])
    measured = measured_by((truth, list[Detections]()), own("image_recall"))

    assert "image_recall" not in measured.metrics
    assert "image_recall" in measured.obstacles


def configuration(*more):
    return decode("object_detection", ["data.classes=[car]", *more])


def test_all_functions_that_cannot_be_imported_are_named(own):
    names = [own("no_such_metric"), "no_such_module:recall", own("NUMBER"), own("image_recall")]

    with raises(ConfigurationError, *names[:3]) as caught:
        open_user_metrics(names)
    assert "image_recall" not in str(caught.value)
    config = configuration(f"evaluate.metrics=[{names[0]}, {names[1]}]")
    with raises(ConfigurationError, names[0], names[1]):
        check_configuration(config)
    check_configuration(config, elsewhere=True)


def test_a_package_that_is_missing_in_a_small_image_is_no_fault(tmp_path, monkeypatch):
    code = "import package_of_large_images\n"
    (tmp_path / "metrics_of_large_images.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    names = "evaluate.metrics=[metrics_of_large_images:recall]", "reading=metrics_of_large_images:Reader"

    check_configuration(configuration(*names))

    with raises(ConfigurationError, "package_of_large_images"):
        open_user_metrics(["metrics_of_large_images:recall"])


def test_the_code_of_metrics_and_reader_has_a_digest(own):
    names = f"evaluate.metrics=[{own('image_recall')}, {own('count_error')}]"
    (digest,) = own_code_digests(configuration(names, f"reading={own('Reader')}"))

    assert digest.startswith("own_metrics:")
    assert own_code_digests(configuration()) == []
    assert own_code_digests(configuration("evaluate.metrics=[no_such_module:recall]")) == []


def test_a_recipe_may_select_by_its_own_metric(own):
    config = configuration(f"evaluate.metrics=[{own('image_recall')}]", "evaluate.select_by=[image_recall, box_AP]")

    check_select_by(config)
    check_configuration(config)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["evaluate.metrics=[image_recall]"], ["module:function", "image_recall"]),
        (["evaluate.metrics=[own_metrics:box_AP]"], ["own_metrics:box_AP", "built-in"]),
        (["evaluate.metrics=[a:recall, b:recall]"], ["a:recall", "another metric"]),
        ([f"evaluate.metrics=[a:{'x' * 101}]"], ["101", "100"]),
        (["evaluate.metrics=[a:recall]", "evaluate.select_by=[recal]"], ["recal", "did you mean recall"]),
    ],
)
def test_names_that_cannot_be_metrics(settings, words):
    with raises(ConfigurationError, *words):
        check_select_by(configuration(*settings))


def test_only_a_name_that_ends_in_error_is_better_when_smaller():
    assert is_higher_better("image_recall")
    assert is_higher_better("mask_AP")
    assert not is_higher_better("count_error")


def test_the_digest_changes_with_the_metrics_only():
    plain = config_digest("evaluate", configuration())

    assert config_digest("evaluate", configuration("evaluate.metrics=[]")) == plain
    assert config_digest("evaluate", configuration("evaluate.metrics=[a:recall]")) != plain
    assert config_digest("train", configuration("evaluate.metrics=[a:recall]")) == config_digest(
        "train", configuration()
    )
