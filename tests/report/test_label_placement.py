import itertools

import pytest

from sightline.report.drawing.label_placement import place_labels


def shared(one, other):
    """Pixels that two rectangles share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


def test_a_lone_box_has_its_label_above_in_the_middle():
    assert place_labels([(100, 100, 200, 150)], [(40, 10)], (400, 300)) == [(130, 90, 170, 100)]


def test_a_box_at_the_top_has_its_label_below():
    [(_, top, _, bottom)] = place_labels([(100, 0, 200, 50)], [(40, 10)], (400, 300))
    assert (top, bottom) == (50, 60)


@pytest.mark.parametrize("width", [20, 38, 60])
def test_labels_of_a_row_of_characters_hide_nothing(width):
    """A plate in two boards' worth of boxes: seven characters, 30 wide, in a board."""
    characters = [(60 + 34 * index, 100, 90 + 34 * index, 150) for index in range(7)]
    boxes = [(50, 90, 310, 160), *characters]
    places = place_labels(boxes, [(70, 14)] + [(width, 14)] * 7, (384, 288))
    for one, other in itertools.combinations(places, 2):
        assert shared(one, other) == 0
    for place, character in itertools.product(places, characters):
        assert shared(place, character) == 0


def test_labels_of_two_close_lines_go_above_the_upper_and_below_the_lower():
    upper = [(100 + 40 * index, 100, 130 + 40 * index, 150) for index in range(3)]
    lower = [(100 + 40 * index, 156, 130 + 40 * index, 206) for index in range(3)]
    places = place_labels([*upper, *lower], [(36, 14)] * 6, (400, 300))
    assert all(bottom <= 100 for _, _, _, bottom in places[:3])
    assert all(top >= 206 for _, top, _, _ in places[3:])


def test_labels_stay_in_the_image():
    boxes = [(0, 0, 20, 20), (380, 0, 400, 20), (0, 280, 20, 300), (380, 280, 400, 300)]
    for left, top, right, bottom in place_labels(boxes, [(60, 12)] * 4, (400, 300)):
        assert left >= 0
        assert top >= 0
        assert right <= 400
        assert bottom <= 300


def test_no_boxes_need_no_labels():
    assert place_labels([], [], (10, 10)) == []
