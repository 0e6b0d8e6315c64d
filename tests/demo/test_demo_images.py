"""What the generator draws: text, outlines, places, and what decides them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sightline.demo.photograph import REFERENCE_SIDE
from sightline.demo.plates.difficulty import CONDITIONS, Difficulty
from sightline.demo.plates.draw import PlateTruth, draw_image
from sightline.demo.plates.glyphs import MAX_POINTS, MIN_POINTS, glyph, signed_area
from sightline.demo.plates.plate import DIGITS, LETTERS, TEXT_LABELS, Shape
from sightline.errors import DataError
from tests.golden import raises

DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")
PLATE_SHAPES = 10


@pytest.fixture(scope="module", params=DIFFICULTIES)
def drawn(request: pytest.FixtureRequest) -> list[tuple[Image.Image, list[Shape], list[PlateTruth]]]:
    """Two dozen images of one difficulty."""
    return [draw_image(5, index, request.param) for index in range(24)]


def plates_of(shapes: list[Shape]) -> list[list[Shape]]:
    """The shapes plate by plate, as ``draw_image`` orders them."""
    return [shapes[first : first + PLATE_SHAPES] for first in range(0, len(shapes), PLATE_SHAPES)]


def inside(points: np.ndarray, polygon: np.ndarray) -> bool:
    """Whether all points lie in a convex polygon, whatever its sense of rotation."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    offsets = points[:, None, :] - polygon[None, :, :]
    sides = edges[:, 0] * offsets[:, :, 1] - edges[:, 1] * offsets[:, :, 0]
    return bool((sides >= -1e-9).all() or (sides <= 1e-9).all())


def centre(shape: Shape) -> np.ndarray:
    """Middle of the shape's box."""
    return (shape.points.min(axis=0) + shape.points.max(axis=0)) / 2


def test_every_plate_has_board_two_text_boxes_and_seven_characters(drawn):
    for _, shapes, truths in drawn:
        assert len(shapes) == PLATE_SHAPES * len(truths)
        for plate, truth in zip(plates_of(shapes), truths, strict=True):
            assert [shape.label for shape in plate] == [
                truth.kind,
                *TEXT_LABELS[truth.kind],
                *truth.sub,
                *truth.main,
            ]
            assert len(truth.sub) == 3
            assert set(truth.sub[:2]) | set(truth.main) <= set(DIGITS)
            assert truth.sub[2] in LETTERS
            assert len(truth.main) == 4


def test_everything_lies_inside_the_image_and_inside_its_box(drawn):
    for image, shapes, _ in drawn:
        for board, sub, main, *characters in plates_of(shapes):
            assert board.points.min() >= 0
            assert (board.points <= np.array(image.size)).all()
            assert inside(sub.points, board.points)
            assert inside(main.points, board.points)
            for character in characters[:3]:
                assert inside(character.points, sub.points)
            for character in characters[3:]:
                assert inside(character.points, main.points)
            assert not any(inside(point[None], main.points) for point in sub.points)


def test_text_is_read_by_centres_from_left_to_right(drawn):
    for _, shapes, truths in drawn:
        for plate, truth in zip(plates_of(shapes), truths, strict=True):
            by_x = sorted(plate[3:], key=lambda shape: centre(shape)[0])
            read = ["".join(c.label for c in by_x if inside(centre(c)[None], text.points)) for text in plate[1:3]]
            assert read == [truth.sub, truth.main]
            sub, main = centre(plate[1]), centre(plate[2])
            assert sub[1] < main[1] if truth.kind == "r_board" else sub[0] < main[0]


def test_corners_are_those_of_the_board(drawn):
    for _, shapes, truths in drawn:
        for plate, truth in zip(plates_of(shapes), truths, strict=True):
            board = plate[0].points
            assert inside(board, truth.corners)
            np.testing.assert_allclose(truth.corners.min(axis=0), board.min(axis=0), atol=4.0)
            np.testing.assert_allclose(truth.corners.max(axis=0), board.max(axis=0), atol=4.0)
            upper_left, upper_right, lower_right, lower_left = truth.corners
            assert upper_left[0] < upper_right[0]
            assert lower_left[0] < lower_right[0]
            assert upper_left[1] < lower_left[1]


def test_two_plates_do_not_touch(drawn):
    pairs = [truths for _, _, truths in drawn if len(truths) == 2]
    assert pairs
    for one, other in pairs:
        assert (one.corners.max(axis=0) < other.corners.min(axis=0)).any() or (
            other.corners.max(axis=0) < one.corners.min(axis=0)
        ).any()


def test_characters_are_painted_where_they_are_labelled():
    shifts = list(itertools.product((-2, -1, 0, 1, 2), repeat=2))
    for index in range(12):
        image, shapes, _ = draw_image(2, index, "easy")
        grey = np.asarray(image.convert("L"), dtype=float)
        for board, _, _, *characters in plates_of(shapes):
            ink = pixels_of(image.size, characters)
            ground = pixels_of(image.size, [board]) & ~ink
            contrast = {by: abs(grey[np.roll(ink, by, (0, 1))].mean() - grey[ground].mean()) for by in shifts}
            assert max(contrast, key=contrast.__getitem__) == (0, 0)
            assert contrast[0, 0] > 40


def pixels_of(size: tuple[int, int], shapes: list[Shape]) -> np.ndarray:
    """(height, width), true where a shape covers a pixel; pixel i is from i to i + 1."""
    mask = Image.new("1", size)
    for shape in shapes:
        ImageDraw.Draw(mask).polygon((shape.points - 0.5).ravel().tolist(), fill=1)
    return np.asarray(mask)


def test_all_kinds_of_images_appear_and_every_class_is_frequent():
    all_truths = [draw_image(11, index, "easy", (96, 96))[2] for index in range(300)]
    counts = [len(truths) for truths in all_truths]
    assert 0.04 < counts.count(0) / 300 < 0.13
    assert counts.count(2) > 20
    plates = list(itertools.chain.from_iterable(all_truths))
    assert 0.4 < sum(plate.kind == "r_board" for plate in plates) / len(plates) < 0.6
    assert {*DIGITS, *LETTERS} == set("0123456789abcde")
    digits = "".join(plate.sub[:2] + plate.main for plate in plates)
    letters = "".join(plate.sub[2] for plate in plates)
    assert min(digits.count(digit) for digit in DIGITS) > 0.07 * len(digits)
    assert min(letters.count(letter) for letter in LETTERS) > 0.13 * len(letters)


def test_an_image_without_plates_has_no_shapes():
    empty = [drawn for drawn in (draw_image(5, index) for index in range(60)) if not drawn[2]]
    assert empty
    assert all(shapes == [] for _, shapes, _ in empty)


def test_easy_characters_are_large_enough_for_a_small_network():
    heights = []
    for index in range(40):
        image, shapes, _ = draw_image(3, index, "easy")
        scale = REFERENCE_SIDE / max(image.size)
        heights += [np.ptp(s.points[:, 1]) * scale for s in shapes if s.label in DIGITS + LETTERS]
    assert min(heights) > 12
    assert 14 < np.median(heights) < 22


def test_difficulties_make_plates_smaller():
    def median_height(difficulty: Difficulty) -> float:
        images = (draw_image(3, index, difficulty) for index in range(20))
        return float(
            np.median([np.ptp(s.points[:, 1]) for _, shapes, _ in images for s in shapes if s.label in DIGITS])
        )

    assert median_height("easy") > median_height("medium") > median_height("hard")


def test_the_same_seed_and_index_draw_the_same():
    one, other = draw_image(1, 4, "medium"), draw_image(1, 4, "medium")
    assert one[0].tobytes() == other[0].tobytes()
    for a, b in zip(one[1], other[1], strict=True):
        assert a.label == b.label
        np.testing.assert_array_equal(a.points, b.points)


def test_no_two_images_look_alike_whatever_seed_and_index():
    hashes = np.array([_difference_hash(draw_image(seed, index)[0]) for seed in (0, 1, 2) for index in range(25)])
    distances = (hashes[:, None, :] != hashes[None, :, :]).sum(axis=-1)
    assert distances[np.triu_indices(len(hashes), 1)].min() > 4


def _difference_hash(image: Image.Image) -> np.ndarray:
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS), dtype=int)
    return (small[:, 1:] > small[:, :-1]).ravel()


@pytest.mark.parametrize("size", [(96, 96), (640, 96), (96, 640), (501, 333)])
def test_plates_fit_images_of_any_shape(size):
    for index in range(12):
        image, shapes, _ = draw_image(9, index, "easy", size)
        assert image.size == size
        assert image.mode == "RGB"
        for shape in shapes:
            assert shape.points.min() >= 0
            assert (shape.points <= np.array(size)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0), "4294967295"),
        ((2**32, 0), "4294967296"),
        ((0, -1), "-1"),
        ((0, 0, "impossible"), "impossible"),
        ((0, 0, "easy", (95, 200)), "95x200"),
        ((0, 0, "easy", (200, 4097)), "200x4097"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with raises(DataError, message):
        draw_image(*arguments)


@pytest.mark.parametrize("character", DIGITS + LETTERS)
def test_outlines_are_simple_and_fine_enough(character):
    outline = glyph(character)
    assert MIN_POINTS <= len(outline.outer) <= MAX_POINTS
    assert outline.outer[:, 0].min() == pytest.approx(0.0)
    assert outline.outer[:, 0].max() == pytest.approx(outline.width)
    if character in DIGITS:
        assert np.ptp(outline.outer[:, 1]) == pytest.approx(1.0, abs=0.05)
    for hole in outline.holes:
        assert abs(signed_area(hole)) < abs(signed_area(outline.outer))
        assert (hole.min(axis=0) > outline.outer.min(axis=0)).all()
        assert (hole.max(axis=0) < outline.outer.max(axis=0)).all()


def test_eyes_of_glyphs_are_holes():
    holes = {character: len(glyph(character).holes) for character in DIGITS + LETTERS}
    assert holes == {**dict.fromkeys("12357c", 0), **dict.fromkeys("0469abde", 1), "8": 2}


def test_signed_area_of_a_unit_square_is_one():
    square = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    assert signed_area(square) == 1.0
    assert signed_area(square[::-1]) == -1.0


def test_signs_show_no_character_of_a_plate():
    for conditions in CONDITIONS.values():
        assert not set(conditions.sign_letters) & set(DIGITS + LETTERS)
