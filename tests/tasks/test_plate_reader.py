"""The plate reader, case by case, and EIR over its readings."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sightline.data.detections import Detections
from sightline.errors import ConfigurationError
from sightline.metrics.exact_match import evaluate_exact_match
from sightline.tasks.readers.plates import CLASSES, PlateReader
from sightline.tasks.readers.registry import open_reader
from tests.golden import raises

IDS = {name: id_ for id_, name in enumerate(CLASSES, 1)}


def plate(board="r_board", sub="12a", main="3456", at=(0, 0), score=0.9, scale=1.0):
    """A plate of 120 x 80 as ``(name, score, (x1, y1, x2, y2))``: the sub text above the main text."""
    kind = board[0]
    parts = [(board, (0, 0, 120, 80)), (f"{kind}_s_n", (20, 4, 100, 32)), (f"{kind}_m_n", (4, 36, 116, 76))]
    parts += [(name, (24 + 26 * i, 6, 44 + 26 * i, 30)) for i, name in enumerate(sub)]
    parts += [(name, (6 + 27 * i, 38, 30 + 27 * i, 74)) for i, name in enumerate(main)]
    return [(name, score, tuple(scale * c + at[k % 2] for k, c in enumerate(box))) for name, box in parts]


def arrays(parts):
    boxes = np.array([box for _, _, box in parts], np.float32).reshape(-1, 4)
    return boxes, np.array([score for _, score, _ in parts], np.float32), np.array([IDS[name] for name, _, _ in parts])


def read(parts):
    return PlateReader(CLASSES).read(*arrays(parts))


def changed(parts, which, **changes):
    """``parts`` with the first part of that name changed or, with nothing to change, left out."""
    index = next(i for i, part in enumerate(parts) if part[0] == which)
    old = dict(zip(("name", "score", "box"), parts[index], strict=True))
    new = [tuple({**old, **changes}.values())] if changes else []
    return [*parts[:index], *new, *parts[index + 1 :]]


@pytest.mark.parametrize("board", ["r_board", "l_board"])
def test_reads_a_plate(board):
    [reading] = read(plate(board, at=(10, 20)))

    assert (reading.kind, reading.texts, reading.complete) == (board, ("12a", "3456"), True)
    assert (reading.centre_xy, reading.size_wh) == ((70, 60), (120, 80))
    assert json.loads(json.dumps(reading.document())) == {
        "kind": board,
        "texts": ["12a", "3456"],
        "centre": [70.0, 60.0],
        "size": [120.0, 80.0],
        "score": 0.9,
        "complete": True,
    }


def test_the_order_of_detections_does_not_matter():
    parts = plate(sub="90e", main="1112")
    for seed in range(5):
        shuffled = [parts[index] for index in np.random.default_rng(seed).permutation(len(parts))]
        assert read(shuffled) == read(parts)


def test_the_score_is_that_of_the_least_sure_part():
    assert read(changed(plate(), "5", score=0.55))[0].score == pytest.approx(0.55)


@pytest.mark.parametrize(
    ("parts", "texts"),
    [
        (changed(plate(), "5"), ("12a", "346")),  # a digit was not found
        (changed(plate(), "r_m_n"), ("12a", "")),  # nobody knows which line the digits are in
        (changed(plate(), "r_s_n"), ("", "3456")),
        (plate(sub="1a2"), ("1a2", "3456")),  # the letter stands last
        (plate(sub="123"), ("123", "3456")),
        (plate(main="345a"), ("12a", "345a")),
        ([*plate(), ("7", 0.9, (100, 40, 110, 70))], ("12a", "34567")),  # one digit too many, where no other is
        (changed(plate(), "r_m_n", name="l_m_n"), ("12a", "")),  # the main text of another kind of plate
        ([("r_board", 0.9, (0, 0, 120, 80))], ("", "")),
    ],
)
def test_what_lacks_a_part_is_read_but_not_complete(parts, texts):
    [reading] = read(parts)

    assert reading.texts == texts
    assert not reading.complete
    assert not PlateReader(CLASSES).same(reading, reading)


@pytest.mark.parametrize(
    ("extra", "texts"),
    [
        (("8", 0.6, (33, 38, 57, 74)), ("12a", "3456")),  # the 4 is less surely an 8
        (("8", 0.95, (33, 38, 57, 74)), ("12a", "3856")),  # the 4 is more surely an 8
        (("r_m_n", 0.5, (4, 36, 60, 76)), ("12a", "3456")),  # a less sure text box of the same kind
        (("l_board", 0.6, (2, 2, 118, 78)), ("12a", "3456")),  # the board is less surely of the other kind
        (("7", 0.9, (200, 200, 220, 230)), ("12a", "3456")),  # a character outside all text boxes
    ],
)
def test_things_said_twice(extra, texts):
    [reading] = read([*plate(), extra])

    assert (reading.kind, reading.texts, reading.complete) == ("r_board", texts, True)


def test_a_character_in_two_text_boxes_belongs_to_the_smaller():
    parts = changed(plate(), "r_m_n", box=(0, 0, 120, 80))

    assert read(parts)[0].texts == ("12a", "3456")


def test_several_plates_by_descending_score():
    parts = [*plate(score=0.7), *plate("l_board", "77b", "0000", at=(150, 0), score=0.8)]

    assert [reading.texts for reading in read(parts)] == [("77b", "0000"), ("12a", "3456")]
    assert read([]) == []


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (plate(at=(11.9, 15.9)), True),
        (plate(at=(12.1, 0)), False),  # 0.1 board widths of 120
        (plate(at=(0, 16.1)), False),  # 0.2 board heights of 80
        (plate(at=(-12.1, 0)), False),
        (plate(main="3457"), False),
        (plate(sub="12b"), False),
        (plate("l_board"), False),
        (plate(scale=1.05), True),  # sizes are not compared
    ],
)
def test_same(other, same):
    [true], [found] = read(plate()), read(other)

    assert PlateReader(CLASSES).same(found, true) is same


def truth_of(images):
    rows = [(image_id, *part) for image_id, parts in enumerate(images, 1) for part in parts]
    return {
        "images": [
            {"id": id_, "file_name": "", "width": 400, "height": 400, "sha256": "", "group": ""}
            for id_ in range(1, len(images) + 1)
        ],
        "annotations": [
            {
                "id": id_,
                "image_id": image_id,
                "category_id": IDS[name],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": 1.0,
                "segmentation": [],
                "iscrowd": 0,
            }
            for id_, (image_id, name, _, (x1, y1, x2, y2)) in enumerate(rows, 1)
        ],
        "categories": [{"id": id_, "name": name} for name, id_ in IDS.items()],
    }


def found_in(image_id, parts):
    return Detections(image_id, *arrays(parts), [{"size": [1, 1], "counts": ""}] * len(parts))


FAR = plate("l_board", "77b", "0000", at=(200, 0))


@pytest.mark.parametrize(
    ("images", "found", "eir", "false"),
    [
        ([plate()], {1: plate()}, 1.0, 0),
        ([plate()], {1: plate(main="3457")}, 0.0, 1),
        ([plate()], {}, 0.0, 0),  # the image without detections counts, and nothing else does
        ([plate(), FAR], {2: FAR}, 0.5, 0),
        ([plate(), FAR], {1: [], 2: FAR}, 0.5, 0),
        ([plate(), []], {1: plate(), 2: FAR}, 1.0, 1),  # a plate where there is none lowers nothing
        ([[*plate(), *FAR]], {1: plate()}, 0.5, 0),
        ([plate()], {1: [*plate(), *plate(at=(0, 90))]}, 1.0, 1),
        ([plate()], {1: changed(plate(), "5")}, 0.0, 0),  # not complete: claims nothing
        ([[*plate(), *changed(FAR, "7")]], {1: plate()}, 1.0, 0),  # a cut-off plate cannot be read by anybody
        ([[]], {1: plate()}, None, 1),
        ([[]], {}, None, 0),
    ],
)
def test_eir(images, found, eir, false):
    detections = [found_in(image_id, parts) for image_id, parts in found.items()]

    scores = evaluate_exact_match(truth_of(images), detections, PlateReader(CLASSES))

    assert scores.values == ({} if eir is None else {"EIR": eir})
    assert scores.false == false
    assert scores.matched == (eir or 0) * scores.true


def test_two_readings_of_one_plate_count_once():
    twice = [*plate(), *plate(at=(1, 70), score=0.8)]  # the second board overlaps the first with IoU < 0.5
    truth = truth_of([plate()])

    scores = evaluate_exact_match(truth, [found_in(1, twice)], PlateReader(CLASSES))

    assert (scores.matched, scores.true) == (1, 1)
    assert not scores.images[0].right or scores.false == 0


def test_images_tell_what_was_read():
    truth = truth_of([[], plate(), FAR])

    scores = evaluate_exact_match(truth, [found_in(2, plate()), found_in(3, plate())], PlateReader(CLASSES))

    assert [(image.image_id, image.right) for image in scores.images] == [(2, True), (3, False)]
    assert scores.images[1].true[0].texts == ("77b", "0000")


def test_open_reader():
    assert open_reader("none", ["cat"]) is None
    assert isinstance(open_reader("plates", CLASSES), PlateReader)
    with raises(ConfigurationError, "data.classes", "l_s_n", "reading=none"):
        open_reader("plates", [name for name in CLASSES if name not in {"7", "l_s_n"}])
    with raises(ConfigurationError, "tyres"):
        open_reader("tyres", CLASSES)


def test_other_classes_and_another_order_do_no_harm():
    names = ["car", *reversed(CLASSES), "tree"]
    ids = {name: id_ for id_, name in enumerate(names, 1)}
    parts = [*plate(), ("car", 0.99, (0, 0, 120, 80)), ("tree", 0.99, (6, 38, 30, 74))]
    boxes = np.array([box for _, _, box in parts], np.float32)

    [reading] = PlateReader(names).read(boxes, np.full(len(parts), 0.9), np.array([ids[name] for name, _, _ in parts]))

    assert reading.texts == ("12a", "3456")
