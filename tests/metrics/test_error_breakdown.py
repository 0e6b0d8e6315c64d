"""The breakdown of errors keeps TIDE's definitions and identities, and agrees with hotcoco where hotcoco keeps them."""

from __future__ import annotations

from dataclasses import replace

import hotcoco
import numpy as np
import pytest

from sightline.metrics.coco_evaluator import coco_arrays
from sightline.metrics.error_breakdown import FALSE_KINDS, NO_ERROR, _errors, _Fixed, error_breakdown
from sightline.metrics.matches import match_detections
from tests.metrics.generated_sets import PLANS, Plan, generated, reference

CAT, DOG = 1, 2
HERE, THERE = (10, 10, 40, 40), (100, 100, 40, 40)
NEAR, FAR = (25, 10, 40, 40), (10, 120, 40, 40)  # IoU 0.45 and 0 with HERE
EMPTY = dict.fromkeys((*FALSE_KINDS, "missed", "false positives", "false negatives"), 0)


@pytest.mark.parametrize(
    ("truth", "found", "counts"),
    [
        ([(CAT, HERE)], [(CAT, 0.9, HERE)], {}),
        ([(CAT, HERE)], [(DOG, 0.9, HERE)], {"classification": 1}),
        ([(CAT, HERE)], [(CAT, 0.9, NEAR)], {"localization": 1}),
        ([(CAT, HERE)], [(DOG, 0.9, NEAR)], {"both": 1, "missed": 1}),
        ([(CAT, HERE)], [(CAT, 0.9, FAR)], {"background": 1, "missed": 1}),
        ([(CAT, HERE)], [(CAT, 0.9, HERE), (CAT, 0.8, HERE)], {"duplicate": 1}),
        ([(CAT, HERE)], [], {"missed": 1}),
        # An inexact detection of an object that is found exactly.
        ([(CAT, HERE)], [(CAT, 0.9, HERE), (CAT, 0.8, NEAR)], {"localization": 1}),
        # Two objects at the same place: each is found, and the wrong third detection is about neither class.
        ([(CAT, HERE), (DOG, HERE)], [(CAT, 0.9, HERE), (DOG, 0.8, HERE), (CAT, 0.7, HERE)], {"classification": 1}),
    ],
)
@pytest.mark.parametrize("kind", ["box", "mask"])
def test_each_kind_by_its_definition(make_truth, make_found, kind, truth, found, counts):
    document = make_truth([truth], ["cat", "dog"])
    errors = error_breakdown(match_detections(document, [make_found(1, found)], kind))

    mine = {name: errors.counts[name] for name in (*FALSE_KINDS, "missed")}
    assert mine == dict.fromkeys(mine, 0) | counts


def test_costs_by_hand(make_truth, make_found):
    """Four cats: one found, one taken for a dog with a higher score, one found inexactly, one missed."""
    places = [(10, 10, 40, 40), (10, 100, 40, 40), (100, 10, 40, 40), (100, 100, 40, 40)]
    truth = make_truth([[(CAT, place) for place in places]], ["cat", "dog"])
    inexact = (115, 10, 40, 40)
    found = make_found(1, [(DOG, 0.95, places[1]), (CAT, 0.9, inexact), (CAT, 0.8, places[0])])
    errors = error_breakdown(match_detections(truth, [found], "box"))

    def recalls(share):  # how many of the 101 recalls are at most this share
        return np.count_nonzero(np.linspace(0, 1, 101) <= share) / 101

    before = recalls(1 / 4) / 2  # the second of two detections of cats is right
    assert errors.average_precision == pytest.approx(before)
    # The dog becomes the first detection of a cat: precision 1, then 2 of 3.
    assert errors.lost["classification"] == pytest.approx(
        recalls(1 / 4) + (recalls(1 / 2) - recalls(1 / 4)) * 2 / 3 - before
    )
    assert errors.lost["localization"] == pytest.approx(recalls(1 / 2) - before)
    assert errors.lost["missed"] == pytest.approx(recalls(1 / 3) / 2 - before)
    assert errors.lost["false positives"] == pytest.approx(recalls(1 / 4) - before)
    assert errors.lost["false negatives"] == pytest.approx(1 / 2 - before)
    assert errors.lost["background"] == errors.lost["both"] == errors.lost["duplicate"] == 0.0
    assert errors.counts["missed"] == 1


@pytest.mark.parametrize("kind", ["box", "mask"])
@pytest.mark.parametrize("plan", [name for name in PLANS if name not in {"no truth", "nothing", "only crowds"}])
def test_identities(plan, kind):
    for seed in range(5):
        truth, found, _ = generated(seed, PLANS[plan])
        matches = match_detections(truth, found, kind)
        errors = error_breakdown(matches)
        if errors is None:
            assert not truth["annotations"]
            continue
        wrong = ~matches.right[0] & ~matches.ignored[0]

        assert errors.average_precision == pytest.approx(average_precision(truth, found, kind), abs=1e-12)
        # The kinds are disjoint and cover all wrong detections.
        assert ((errors.kinds != NO_ERROR) == wrong).all()
        assert sum(errors.counts[name] for name in FALSE_KINDS) == wrong.sum() == errors.counts["false positives"]
        assert all(lost >= -1e-12 for lost in errors.lost.values())
        # Missed objects are those without a right detection, and without an error that is about them.
        found_objects = set(matches.matched[0][matches.right[0]].tolist())
        unfound = set(np.flatnonzero(~matches.objects.ignored).tolist()) - found_objects
        assert set(errors.missed.tolist()) == unfound - set(errors.targets.tolist())
        assert errors.counts["false negatives"] == len(unfound)
        fixed = _Fixed(matches, *_errors(matches), np.isin(np.arange(len(matches.objects.classes)), list(unfound)))
        missed = np.isin(np.arange(len(matches.objects.classes)), errors.missed)
        assert fixed.average_precision(of_kinds=FALSE_KINDS, absent=missed) == pytest.approx(1)
        assert fixed.average_precision(removed=wrong, absent=fixed.unfound) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["classification", "localization"])
def test_costs_are_those_of_corrected_detections(kind):
    """The class or the box of each detection is really corrected, and pycocotools measures the result."""
    for seed in range(8):
        truth, found, _ = generated(seed, Plan(images=12, objects=9, classes=4, doubles=0.8))
        matches = match_detections(truth, found, "box")
        errors = error_breakdown(matches)
        unfound = set(range(len(truth["annotations"]))) - set(matches.matched[0].tolist())

        rows = {int(given): row for row, given in enumerate(matches.found.given)}
        mine = [row for row in rows.values() if errors.kinds[row] == FALSE_KINDS.index(kind)]
        best = {}
        for row in sorted(mine, key=lambda row: -matches.found.scores[row]):
            if errors.targets[row] in unfound:
                best.setdefault(int(errors.targets[row]), row)
        corrected, given = [], 0
        for one in found:
            kept, boxes, classes = [], one.boxes_xyxy.copy(), one.category_ids.copy()
            for index in range(len(one)):
                row = rows[given + index]
                target = int(errors.targets[row])
                if row in mine and best.get(target) != row:
                    continue
                kept.append(index)
                if row in mine:
                    annotation = truth["annotations"][target]
                    x, y, width, height = annotation["bbox"]
                    classes[index] = annotation["category_id"]
                    boxes[index] = boxes[index] if kind == "classification" else (x, y, x + width, y + height)
            given += len(one)
            corrected.append(replace(one, boxes_xyxy=boxes, category_ids=classes).chosen(np.array(kept, np.intp)))
        precision = reference(truth, corrected, "box", []).eval["precision"][0, ..., 0, -1]
        after = precision[precision > -1].mean()
        assert errors.lost[kind] == pytest.approx(after - errors.average_precision, abs=1e-12)
        assert errors.lost[kind] > 0


def average_precision(truth, found, kind):
    precision = coco_arrays(truth, found, kind).precision[0, ..., 0, -1]
    return precision[precision > -1].mean()


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_counts_and_costs_are_those_of_hotcoco_where_definitions_agree(kind):
    """hotcoco keeps a confused detection in its wrong class when it is fixed, and makes every inexact one right."""
    plan = Plan(images=20, objects=9, classes=4, false=3)
    for seed in range(5):
        truth, found, _ = generated(seed, plan)
        errors = error_breakdown(match_detections(truth, found, kind))
        theirs = of_hotcoco(truth, found, kind)

        names = {"classification": "Cls", "localization": "Loc", "both": "Both", "duplicate": "Dupe"}
        names |= {"background": "Bkg", "missed": "Miss"}
        assert {names[name]: errors.counts[name] for name in names} == theirs["counts"]
        assert errors.average_precision == pytest.approx(theirs["ap_base"], abs=1e-12)
        for name in ("both", "duplicate", "background", "missed"):
            assert errors.lost[name] == pytest.approx(theirs["delta_ap"][names[name]], abs=1e-12), name
        assert min(errors.counts[name] for name in names) > 0


def of_hotcoco(truth, found, kind):
    oracle = reference(truth, found, kind, [])
    truths = hotcoco.COCO({**truth})
    rows = [{name: one[name] for name in one if name in ROW} for one in oracle.cocoDt.dataset["annotations"]]
    evaluation = hotcoco.COCOeval(truths, truths.load_res(rows), "bbox" if kind == "box" else "segm")
    evaluation.evaluate()
    return evaluation.tide_errors()


ROW = {"image_id", "category_id", "bbox", "score", "segmentation"}


def test_without_truth_there_is_nothing_to_break_down(make_truth, make_found):
    assert (
        error_breakdown(match_detections(make_truth([[]], ["cat"]), [make_found(1, [(1, 0.9, HERE)])], "box")) is None
    )
