"""The gate: what it promotes and refuses, and what it says about it."""

import numpy as np
import pytest

from sightline.config.gate import Gate
from sightline.evaluation.bootstrap import Resamples
from sightline.evaluation.gate import Contest, pass_gate
from sightline.metrics.statistic import Ratio
from sightline.registry.model_profile import ModelProfile
from sightline.tasks.evaluators import Measurement
from tests.evaluation.simulated import detectors, groups_of

IMAGES = 500


def measured(statistic, **classes):
    value = float(statistic.values(np.ones((1, IMAGES)))[0])
    return Measurement({"AP": value}, statistics={"AP": statistic}, class_statistics={"AP": classes})


def contest(candidate, champion, **more):
    return Contest("AP", "best", candidate, more.pop("profile", None), candidate, champion, **more)


def accuracy(right):
    return Ratio(np.asarray(right, float), np.ones(IMAGES))


def better_in(part, of=IMAGES):
    """Two measurements: the candidate is right on all images of ``part``, the champion on none of them."""
    right = np.zeros(IMAGES)
    right[: of // 2] = 1
    improved = right.copy()
    improved[part] = 1
    return measured(accuracy(improved)), measured(accuracy(right))


RESAMPLES = Resamples([""] * IMAGES, 400)
MORE = Resamples([""] * IMAGES, 999)


def report_of(rule, one, *, min_gain=0.0, resamples=RESAMPLES):
    return pass_gate(rule, min_gain, one, resamples, IMAGES)


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "points", "least", "most"), [(0.0, 0.0, 0.0, 0.05), (0.057, 0.02, 0.8, 1.0)])
def test_few_equal_models_and_most_2_point_gains_are_promoted(gain, points, least, most):
    """400 pairs of models, each on 500 images; two trainings on almost the same data have most errors in common."""
    random, differences, promoted = np.random.default_rng(7), [], 0
    for seed in range(400):
        one, other = (measured(model) for model in detectors(random, IMAGES, 1, gain, own_errors=0.3))
        found = report_of(Gate(), contest(one, other), resamples=Resamples([""] * IMAGES, 300, seed))
        differences.append(found.difference)
        promoted += found.passed
    assert np.mean(differences) == pytest.approx(points, abs=0.002)
    assert least <= promoted / 400 <= most


def test_a_certain_gain_passes_and_an_uncertain_one_says_what_would_settle_it():
    clear = report_of(Gate(), contest(*better_in(slice(300, 330))))
    one, other = better_in(slice(300, 304))
    losses = one.statistics["AP"].numerators.copy()
    losses[:2] = 0  # wrong where the champion is right
    unclear = report_of(Gate(), contest(measured(accuracy(losses)), other))

    assert clear.passed
    assert clear.probability == 400 / 401
    assert clear.low > 0
    assert clear.images_needed is None
    assert not unclear.passed
    assert unclear.difference == pytest.approx(2 / IMAGES)
    assert unclear.low < 0 < unclear.high
    assert 0.7 < unclear.probability < 0.95
    # (1.645 + 0.842) standard errors of the difference, of which 6 of 500 images have one of +1 or -1
    error = np.sqrt((6 / IMAGES - (2 / IMAGES) ** 2) / IMAGES)
    assert unclear.smallest_detectable == pytest.approx(2.487 * error, rel=0.12)
    assert unclear.images_needed == pytest.approx(IMAGES * (2.487 * error / (2 / IMAGES)) ** 2 - IMAGES, rel=0.25)


def test_models_that_are_equal_on_all_images_say_nothing_about_what_would_be_detected():
    one, _ = better_in(slice(300, 330))
    equal = report_of(Gate(), contest(one, one))
    assert not equal.passed
    assert (equal.difference, equal.smallest_detectable, equal.images_needed) == (0, None, None)


def test_the_minimum_gain_counts_and_the_number_of_candidates_too():
    one, other = better_in(slice(300, 330))  # 6 points
    assert report_of(Gate(), contest(one, other), min_gain=0.03).passed
    assert not report_of(Gate(), contest(one, other), min_gain=0.055).passed
    several = report_of(Gate(), contest(one, other, candidates=4))
    assert several.required == pytest.approx(1 - 0.05 / 4)


def test_without_confidence_or_values_per_image_only_the_values_are_compared():
    one, other = better_in(slice(300, 301))
    assert not report_of(Gate(), contest(one, other)).passed
    assert report_of(Gate(confidence=0), contest(one, other)).passed
    bare = Measurement({"AP": 0.5}), Measurement({"AP": 0.4})
    found = report_of(Gate(), contest(*bare))
    assert (found.passed, found.low, found.probability) == (True, None, None)
    assert found.difference == pytest.approx(0.1)


def test_a_class_or_slice_that_may_be_worse_stops_the_candidate_and_is_named():
    random = np.random.default_rng(0)
    right, better = random.random(IMAGES) < 0.5, np.ones(IMAGES, bool)
    better[:40] = False  # of class b, and in the dark slice, only wrong images
    right[:40] = True
    a, b = np.arange(IMAGES) >= 40, np.arange(IMAGES) < 40
    models = [
        measured(accuracy(one), a=Ratio(one * a.astype(float), a.astype(float)), b=Ratio(one * b * 1.0, b * 1.0))
        for one in (better, right)
    ]
    slices = {"brightness: dark": b, "brightness: light": a}
    plain = report_of(Gate(), contest(*models, slices=slices))
    classes = report_of(Gate(class_margin=0.1), contest(*models, slices=slices))
    only_a = report_of(Gate(class_margin={"a": 0.1}), contest(*models, slices=slices))
    dark = report_of(Gate(slice_margin=0.1), contest(*models, slices=slices))

    assert plain.passed
    assert only_a.passed
    assert "a is not worse" in only_a.checks[-1].text
    assert not classes.passed
    assert [check.name for check in classes.checks if not check.passed] == ["classes"]
    assert "b -1" in classes.failures[0]
    assert [check.name for check in dark.checks if not check.passed] == ["slices"]
    assert "brightness: dark -1" in dark.failures[0]


def test_the_slice_of_a_class_is_measured_by_the_class_alone():
    """As on the page: class b is lost, although the mean over the classes has grown on the images of its slice."""
    one, other = better_in(slice(300, 330))
    b = np.zeros(IMAGES)
    b[:40] = 1
    candidate = measured(one.statistics["AP"], b=Ratio(np.zeros(IMAGES), b))
    champion = measured(other.statistics["AP"], b=Ratio(b, b))
    slices = {"class: b": np.ones(IMAGES, bool)}
    found = report_of(Gate(slice_margin={"class: b": 0.1}), contest(candidate, champion, slices=slices))
    assert [check.name for check in found.checks if not check.passed] == ["slices"]
    assert "class: b -1" in found.failures[0]


def test_slices_of_a_few_images_are_judged_only_if_the_rule_names_them():
    """As on the page, where they have no value; by chance one of many would lose."""
    models = better_in(slice(300, 330))
    slices = {"group: x": np.arange(IMAGES) < 6, "brightness: dark": np.arange(IMAGES) >= 300}
    every = report_of(Gate(slice_margin=0.1), contest(*models, slices=slices))
    assert [check.text for check in every.checks if check.name == "slices"] == [
        "brightness: dark is not worse by more than its margin"
    ]
    named = report_of(Gate(slice_margin={"group: x": 0.1}), contest(*models, slices=slices))
    assert [check.name for check in named.checks] == ["gain", "slices"]


def test_a_class_with_too_few_images_to_exclude_a_loss_stops_the_candidate():
    """Non-inferiority: what is not shown is not assumed."""
    one, other = better_in(slice(300, 330))
    rare = np.zeros(IMAGES)
    rare[:4] = 1
    mine = rare.copy()
    mine[0] = 0
    candidate = measured(one.statistics["AP"], rare=Ratio(mine, rare))
    champion = measured(other.statistics["AP"], rare=Ratio(rare, rare))
    assert not report_of(Gate(class_margin=0.3), contest(candidate, champion)).passed


def test_margins_that_cannot_be_checked_are_stated():
    one, other = better_in(slice(300, 330))
    nothing = Ratio(np.zeros(IMAGES), np.zeros(IMAGES))
    candidate = measured(one.statistics["AP"], a=accuracy(np.ones(IMAGES)), rare=nothing, new=accuracy(np.ones(IMAGES)))
    champion = measured(other.statistics["AP"], a=accuracy(np.ones(IMAGES)), rare=nothing)
    slices = {"group: x": np.zeros(IMAGES, bool)}

    def checks(candidate, champion, **rule):
        found = report_of(Gate(**rule), contest(candidate, champion, slices=slices)).checks[1:]
        return [(check.name, check.passed) for check in found]

    assert checks(one, other, class_margin=0.1) == [("classes", True)]
    assert checks(candidate, champion, class_margin=0.1) == [("classes", True)]
    assert checks(candidate, champion, class_margin={"a": 0.1, "rare": 0.1}) == [("classes", False), ("classes", True)]
    assert checks(candidate, champion, class_margin={"a": 0.1, "new": 0.1}) == [("classes", True)]
    assert checks(one, other, slice_margin={"group: x": 0.1}) == [("slices", False)]
    plain = [Measurement(model.metrics) for model in (one, other)]
    assert checks(*plain, slice_margin=0.1) == [("slices", True)]


def test_a_confidence_that_resamples_cannot_show_names_the_resamples_that_can():
    models = better_in(slice(300, 400))
    several = report_of(Gate(confidence=0.995, resamples=400), contest(*models, candidates=5))
    assert not several.passed
    assert "evaluate.gate.resamples=999" in several.failures[0]
    assert report_of(Gate(confidence=0.995, resamples=999), contest(*models, candidates=5), resamples=MORE).passed


def test_a_few_groups_that_agree_by_chance_show_no_more_than_the_sign_test():
    models = better_in(slice(300, 400))
    for groups, passes in ((2, False), (4, False), (5, True)):
        names = [str(number % groups) for number in range(IMAGES)]  # all groups gain alike
        found = report_of(Gate(), contest(*models), resamples=Resamples(names, 400))
        assert found.passed == passes
        assert found.probability == pytest.approx(1 - 0.5**groups)
        assert (f"{groups} groups" in found.checks[0].text) != passes


def profile(**fields):
    values = {
        "device": "cpu",
        "latency_p50_ms": 10.0,
        "latency_p95_ms": 20.0,
        "timed": 16,
        "best_batch": 1,
        "images_per_second": 100.0,
        "memory_gb": 1.5,
        "size_mb": 100.0,
        "parameters": 1000,
    }
    return ModelProfile(**values | fields)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ({"floors": {"AP": 0.9}}, "floor"),
        ({"floors": {"recall": 0.1}}, "floor"),  # not measured
        ({"max_latency_ms": 15}, "latency"),
        ({"max_memory_gb": 1}, "memory"),
        ({"max_size_mb": 99}, "size"),
    ],
)
def test_floors_and_limits_hold_with_and_without_a_champion(rule, name):
    one, other = better_in(slice(300, 330))
    for champion in (other, None):
        found = report_of(Gate(**rule), contest(one, champion, profile=profile()))
        assert not found.passed
        assert [check.name for check in found.checks if not check.passed] == [name]
    kept = report_of(
        Gate(floors={"AP": 0.5}, max_latency_ms=20, max_memory_gb=1.5, max_size_mb=100),
        contest(one, None, profile=profile()),
    )
    assert kept.passed
    assert [check.name for check in kept.checks] == ["floor", "latency", "memory", "size"]


@pytest.mark.parametrize(("floor", "passed"), [(0.3, True), (0.2, True), (0.1, False)])
def test_the_floor_of_an_error_is_the_largest_value(floor, passed):
    one, other = better_in(slice(300, 330))
    one.metrics["count_error"] = 0.2
    assert report_of(Gate(floors={"count_error": floor}), contest(one, other)).passed is passed


def test_a_limit_that_could_not_be_measured_and_a_leak_stop_the_candidate():
    one, other = better_in(slice(300, 330))
    assert not report_of(Gate(max_latency_ms=15), contest(one, other)).passed
    leaked = report_of(Gate(), contest(one, other, leak="3 val images also in the train split"))
    assert leaked.failures == ["3 val images also in the train split"]


def test_copies_of_images_do_not_make_a_gain_certain():
    """Ten images, each 50 times: as uncertain as ten images."""
    right = np.zeros(10)
    right[:5] = 1
    improved = right.copy()
    improved[7] = 1
    one, other = (measured(accuracy(np.repeat(values, 50))) for values in (improved, right))
    assert report_of(Gate(), contest(one, other)).passed  # as if they were independent
    assert not report_of(Gate(), contest(one, other), resamples=Resamples(groups_of(10, 50), 400)).passed
