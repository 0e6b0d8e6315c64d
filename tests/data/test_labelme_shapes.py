"""Shapes of every type against the masks that labelme draws, and instances of several shapes."""

import base64

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from sightline.data.labelme import read_folder
from tests.data.labelme_folders import HEIGHT, SQUARE, WIDTH, encoded, settings, shape, write

TRIANGLE = [[40, 5], [60, 5], [60, 40]]
CONCAVE = [[20, 5], [-9, 5], [-9, 40], [20, 40], [20, 35], [-5, 35], [-5, 9], [20, 9]]


def only_instance(root, **fields):
    annotations = read_folder(root, settings(**fields))
    ((instance,),) = (image.instances for image in annotations.images)
    return instance


def drawn(kind, points):
    """The mask as labelme draws it, on a canvas of the whole image."""
    canvas = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(canvas)
    if kind == "circle":
        (x, y), (x2, y2) = points
        radius = np.hypot(x2 - x, y2 - y)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1, outline=1)
    elif kind == "rectangle" and len(points) == 2:
        (x1, y1), (x2, y2) = points
        draw.rectangle((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), fill=1, outline=1)
    else:
        draw.polygon([tuple(point) for point in points], fill=1, outline=1)
    return np.asarray(canvas)


DRAWN = {
    "polygon": ("polygon", [[10.4, 3.9], [50.2, 8.1], [33.7, 40.5], [12.0, 30.0]]),
    "polygon that crosses itself": ("polygon", [[5, 5], [40, 40], [40, 5], [5, 40]]),
    "polygon along the border": ("polygon", [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]]),
    "polygon across the border": ("polygon", [[-20.5, -3.2], [80.1, 10.7], [30.3, 70.9]]),
    "concave across the left border": ("polygon", CONCAVE),
    "rectangle": ("rectangle", [[30.6, 20.2], [5.5, 4.4]]),
    "rectangle of four": ("rectangle", [[5, 4], [30, 8], [27, 25], [2, 21]]),
    "oriented rectangle": ("oriented_rectangle", [[5, 4], [30, 8], [27, 25], [2, 21]]),
    "circle": ("circle", [[30.3, 20.8], [40.2, 25.9]]),
    "circle across the border": ("circle", [[3.3, 20.8], [15.2, 30.9]]),
    "small circle": ("circle", [[30.5, 20.5], [31.5, 20.5]]),
}  # fmt: skip


@pytest.mark.parametrize("case", DRAWN)
def test_area_and_box_are_those_of_labelmes_mask(case, tmp_path):
    kind, points = DRAWN[case]
    write(tmp_path, "a.json", shape(points=points, shape_type=kind))
    expected = coco_mask.encode(np.asfortranarray(drawn(kind, points)))
    instance = only_instance(tmp_path)
    assert instance.area == float(coco_mask.area(expected))
    assert list(instance.bbox) == coco_mask.toBbox(expected).tolist()


def test_outlines_are_flattened_points_with_their_fractions(tmp_path):
    write(tmp_path, "a.json", shape(points=[[1.25, 2.5], [9.125, 3], [4, 8.75]]))
    assert only_instance(tmp_path).segmentation == [[1.25, 2.5, 9.125, 3.0, 4.0, 8.75]]


def test_a_rectangle_has_four_corners(tmp_path):
    write(tmp_path, "a.json", shape(points=[[30, 20], [5, 4]], shape_type="rectangle"))
    assert only_instance(tmp_path).segmentation == [[5.0, 4.0, 30.0, 4.0, 30.0, 20.0, 5.0, 20.0]]


def test_a_circle_becomes_a_polygon_within_a_pixel(tmp_path):
    write(tmp_path, "a.json", shape(points=[[32, 24], [52, 24]], shape_type="circle"))
    (outline,) = only_instance(tmp_path).segmentation
    xs, ys = np.array(outline[::2]) - 32, np.array(outline[1::2]) - 24
    np.testing.assert_allclose(np.hypot(xs, ys), 20)
    assert np.hypot((xs + np.roll(xs, 1)) / 2, (ys + np.roll(ys, 1)) / 2).min() >= 19


def test_a_file_of_labelme_3_without_shape_type_holds_polygons(tmp_path):
    entry = shape()
    del entry["shape_type"], entry["group_id"], entry["flags"]
    write(tmp_path, "a.json", entry)
    assert only_instance(tmp_path).area == 21 * 21


def mask_shape(pixels, left, top, right, bottom, **fields):
    png = encoded(Image.fromarray((pixels * 255).astype(np.uint8)), "PNG")
    points = [[left, top], [right, bottom]]
    return shape(points=points, shape_type="mask", mask=base64.b64encode(png).decode(), **fields)


def test_a_mask_becomes_a_run_length_encoding_of_the_image(tmp_path):
    pixels = np.random.default_rng(0).random((5, 7)) > 0.4
    write(tmp_path, "a.json", mask_shape(pixels, 10, 20, 16, 24))
    instance = only_instance(tmp_path)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[20:25, 10:17] = pixels
    np.testing.assert_array_equal(coco_mask.decode(instance.segmentation), expected)
    assert instance.segmentation["size"] == [HEIGHT, WIDTH]
    assert instance.area == pixels.sum()


def test_a_mask_between_pixels_keeps_its_own_size(tmp_path):
    write(tmp_path, "a.json", mask_shape(np.ones((5, 7)), 10.4, 20.4, 16.6, 24.6))
    assert only_instance(tmp_path).bbox == (10.0, 20.0, 7.0, 5.0)


def test_a_mask_across_the_border_is_cut_there(tmp_path):
    write(tmp_path, "a.json", mask_shape(np.ones((5, 7)), WIDTH - 3, -2, WIDTH + 3, 2))
    annotations = read_folder(tmp_path, settings())
    assert annotations.images[0].instances[0].bbox == (WIDTH - 3.0, 0.0, 3.0, 3.0)
    assert annotations.dropped == {"outside_image": 1}


def test_shapes_of_one_label_and_group_are_one_instance(tmp_path):
    write(
        tmp_path, "a.json",
        shape(group_id=1), shape("bus", group_id=1), shape(points=TRIANGLE), shape(points=TRIANGLE, group_id=2),
        shape(points=[[20, 20], [35, 20], [35, 35]], group_id=1),
    )  # fmt: skip
    annotations = read_folder(tmp_path, settings(faults={"duplicate_shape": "drop"}))
    assert [instance.label for instance in annotations.images[0].instances] == ["car", "bus", "car"]
    joined = annotations.images[0].instances[0]
    union = drawn("polygon", SQUARE) | drawn("polygon", [[20, 20], [35, 20], [35, 35]])
    assert (len(joined.segmentation), joined.area, joined.bbox) == (2, union.sum(), (10.0, 10.0, 26.0, 26.0))


def test_a_mask_and_a_polygon_of_one_group_are_encoded_together(tmp_path):
    write(tmp_path, "a.json", shape(group_id=1), mask_shape(np.ones((3, 3)), 40, 40, 42, 42, group_id=1))
    instance = only_instance(tmp_path)
    assert coco_mask.decode(instance.segmentation).sum() == instance.area == 21 * 21 + 9
