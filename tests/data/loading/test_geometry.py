import numpy as np
import pytest
from PIL import Image

from sightline.data.loading.geometry import (
    clip_polygon,
    homography,
    move_outline,
    move_points,
    rotation,
    scaling,
    shift,
    warp_image,
)
from sightline.data.loading.scene import Objects, Scene
from sightline.data.loading.transforms import PADDING_COLOUR, fit_image
from sightline.data.rasterizer import encode_mask, rasterize

SQUARE = [[10.0, 20.0, 30.0, 20.0, 30.0, 40.0, 10.0, 40.0]]
WIDTH, HEIGHT = 80, 60

MOVEMENTS = {
    "none": np.eye(3),
    "mirrored": shift(WIDTH, 0) @ scaling(-1, 1),
    "upside down": shift(0, HEIGHT) @ scaling(1, -1),
    "smaller": shift(7.3, 2.9) @ scaling(0.5, 0.5),
    "larger": shift(-14.6, -20.2) @ scaling(1.7, 1.7),
    "cut": shift(-21.5, 0) @ scaling(1, 1),
    "turned": shift(40, 30) @ rotation(25) @ shift(-40, -30),
    "turned and much smaller": shift(20, 10) @ rotation(-10) @ scaling(0.4, 0.4),
    "seen from the side": homography(
        np.array([[0.0, 0], [80, 0], [80, 60], [0, 60]]), np.array([[5.0, 3], [70, 8], [75, 50], [2, 57]])
    ),
}


def square_scene(outline):
    picture = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture[20:40, 10:30] = 255
    return Scene.of(Image.fromarray(picture), Objects(np.array([1]), np.array([[10.0, 20, 30, 40]]), [outline]))


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((100, 50), (64, 32)),  # wide: made smaller
        ((50, 100), (32, 64)),  # tall
        ((32, 16), (64, 32)),  # made larger
        ((64, 40), (64, 40)),  # as it is
        ((1000, 3), (64, 1)),  # no side ever vanishes
    ],
)
def test_fit_makes_the_longer_side_the_input_size(size, fitted):
    image, placement = fit_image(Image.new("RGB", size), 64)
    assert image.size == fitted
    assert np.allclose([placement.scale_x * size[0], placement.scale_y * size[1]], fitted)


@pytest.mark.parametrize("movement", MOVEMENTS)
@pytest.mark.parametrize("kind", ["polygon", "mask"])
def test_pixels_outline_and_box_move_together(movement, kind):
    """The box against the extent of the outline, and the outline against the pixels of a white square."""
    outline = SQUARE if kind == "polygon" else encode_mask(rasterize(SQUARE, HEIGHT, WIDTH))
    scene = square_scene(outline).moved(MOVEMENTS[movement]).settled()
    seen = np.asarray(scene.image)[..., 0] > 160
    mask = rasterize(scene.objects.outlines[0], HEIGHT, WIDTH) > 0
    assert (seen & mask).sum() / (seen | mask).sum() > 0.85
    rows, columns = np.nonzero(mask)
    (box,) = scene.objects.boxes_xyxy
    np.testing.assert_allclose(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=1.01)
    if kind == "polygon":
        corners = move_points(MOVEMENTS[movement], np.array(SQUARE).reshape(-1, 2)).clip(0, (WIDTH, HEIGHT))
        np.testing.assert_allclose(box, [*corners.min(axis=0), *corners.max(axis=0)], atol=1e-9)


@pytest.mark.parametrize("movement", MOVEMENTS)
def test_what_an_image_does_not_cover_has_the_color_of_the_padding(movement):
    white = Image.new("RGB", (WIDTH, HEIGHT), "white")
    warped = np.asarray(warp_image(white, MOVEMENTS[movement], WIDTH, HEIGHT)).reshape(-1, 3)
    covered = rasterize(
        move_outline(MOVEMENTS[movement], [[0.0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT]], WIDTH, HEIGHT), HEIGHT, WIDTH
    )
    padded = (warped == PADDING_COLOUR).all(axis=1)
    assert abs(int(padded.sum()) - int((covered == 0).sum())) <= 2 * (WIDTH + HEIGHT)
    assert ((warped == 255).all(axis=1) | padded).mean() > 0.93


def test_a_mirrored_image_is_mirrored_exactly():
    picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    warped = warp_image(Image.fromarray(picture), MOVEMENTS["mirrored"], WIDTH, HEIGHT)
    assert np.array_equal(np.asarray(warped), picture[:, ::-1])


def test_movements_are_composed_before_the_pixels_are_touched():
    """There and back again is the same image, byte for byte."""
    scene = square_scene(SQUARE)
    there = scene.moved(shift(40, 30) @ rotation(90)).moved(rotation(-90) @ shift(-40, -30))
    back = Scene(there.image, there.objects, np.round(there.matrix, 9), WIDTH, HEIGHT).settled()
    assert back.image.tobytes() == scene.image.tobytes()


def test_clipping_agrees_with_pixels():
    """Against the rasterized polygon, cut by slicing."""
    random = np.random.default_rng(3)
    for _ in range(50):
        angles = np.sort(random.uniform(0, 2 * np.pi, 7))
        polygon = (20, 15) + random.uniform(5, 25, (7, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        around = rasterize([(polygon + 30).ravel().tolist()], 100, 100)[30:60, 30:70]
        clipped = clip_polygon(polygon, 40, 30)
        assert (clipped >= -1e-9).all()
        assert (clipped <= np.array([40, 30]) + 1e-9).all()
        mask = rasterize([clipped.ravel().tolist()], 30, 40)
        assert (mask != around).mean() < 0.05


def test_a_polygon_beyond_the_canvas_is_empty():
    assert clip_polygon(np.array([[50.0, 5], [60, 5], [60, 9]]), 40, 30).shape == (0, 2)


@pytest.mark.parametrize(
    ("matrix", "kept"),
    [
        (np.eye(3), True),
        (shift(-25, 0), True),  # a quarter of the box is left
        (shift(-28.5, 0), False),  # less than a tenth
        (shift(-200, 0), False),  # nothing
        (scaling(1e-4, 1e-4), False),  # too thin to train on
    ],
)
@pytest.mark.parametrize("kind", ["polygon", "mask"])
def test_objects_that_are_no_longer_visible_are_left_out(matrix, kept, kind):
    outline = SQUARE if kind == "polygon" else encode_mask(rasterize(SQUARE, HEIGHT, WIDTH))
    assert len(square_scene(outline).moved(matrix).settled().objects) == kept


def test_a_thin_diagonal_object_survives_a_rotation():
    """Its box has much less area afterwards, but nothing of it is cut off."""
    outline = [[20.0, 10, 60, 50, 59, 51, 19, 11]]
    objects = Objects(np.array([1]), np.array([[19.0, 10, 60, 51]]), [outline])
    turned = objects.moved(shift(40, 30) @ rotation(45) @ shift(-40, -30), WIDTH, HEIGHT)
    assert len(turned) == 1


def test_keypoints_move_with_the_image_and_vanish_beyond_it():
    keypoints = np.array([[[10.0, 20, 2], [70, 20, 1], [0, 0, 0]]])
    objects = Objects(np.array([1]), np.array([[10.0, 20, 30, 40]]), [SQUARE], keypoints)
    moved = objects.moved(shift(15, 1), WIDTH, HEIGHT)
    assert moved.keypoints.tolist() == [[[25, 21, 2], [0, 0, 0], [0, 0, 0]]]


def test_an_outline_of_several_polygons_is_cut_polygon_by_polygon():
    outline = [[2.0, 2, 12, 2, 12, 12, 2, 12], [-8.0, 30, 4, 30, 4, 40, -8, 40]]
    objects = Objects(np.array([1]), np.array([[-8.0, 2, 12, 40]]), [outline]).moved(shift(1, 0), WIDTH, HEIGHT)
    assert objects.boxes_xyxy.tolist() == [[0, 2, 13, 40]]
    mask = rasterize(objects.outlines[0], HEIGHT, WIDTH)
    assert mask.sum() == 10 * 10 + 5 * 10
    assert mask[2:12, 3:13].all()
    assert mask[30:40, :5].all()
