"""Shapes of every type against COCO's run lengths, and instances of several shapes."""

import base64

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from sightline.data.formats.labelme.folder import read_folder
from sightline.data.rasterizer import rasterize
from tests.data.formats.labelme_folders import HEIGHT, SQUARE, WIDTH, encoded, settings, shape, write

TRIANGLE = [[40, 5], [60, 5], [60, 40]]
CONCAVE = [[20, 5], [-9, 5], [-9, 40], [20, 40], [20, 35], [-5, 35], [-5, 9], [20, 9]]


def only_instance(root, **fields):
    annotations = read_folder(root, settings(**fields))
    ((instance,),) = (image.instances for image in annotations.images)
    return instance


def covered(*polygons):
    """The pixels of polygons, as pycocotools has them."""
    flattened = [[coordinate for point in polygon for coordinate in point] for polygon in polygons]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flattened, HEIGHT, WIDTH)))


def disc(x, y, radius):
    """The polygon of a circle, with many more points than anybody needs."""
    angles = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1).tolist()


ROTATED = [[5, 4], [30, 8], [27, 25], [2, 21]]
FAR_ROUND = [[40, -9], [80, -9], [80, 60], [-9, 60], [-9, -5], [30, -5], [30, 5], [35, 5], [35, -7], [-11, -7],
             [-11, 62], [82, 62], [82, -11], [40, -11]]  # fmt: skip

# Shape type, its points, the polygon whose pixels it covers, its box within the image.
DRAWN = {
    "polygon": ("polygon", [[10.5, 3], [50, 8], [33, 40.5]], None, [10.5, 3, 39.5, 37.5]),
    "polygon that crosses itself": ("polygon", [[5, 5], [40, 40], [40, 5], [5, 40]], None, [5, 5, 35, 35]),
    "polygon along the border": ("polygon", [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], None, [0, 0, 64, 48]),
    "polygon across the border": ("polygon", [[-20, 0], [20, 20], [-20, 40]], None, [0, 10, 20, 20]),
    "polygon around a corner": ("polygon", [[-10, 3], [3, -10], [30, 20], [20, 30]], None, [0, 0, 30, 30]),
    "polygon around the image": ("polygon", [[-5, -5], [70, -5], [70, 60], [-5, 60]], None, [0, 0, 64, 48]),
    "concave across the left border": ("polygon", CONCAVE, None, [0, 5, 20, 35]),
    "concave outside on all sides": ("polygon", FAR_ROUND, None, [30, 0, 5, 5]),
    "rectangle": ("rectangle", [[30, 20], [5, 4]], [[5, 4], [30, 4], [30, 20], [5, 20]], [5, 4, 25, 16]),
    "rectangle of one pixel": ("rectangle", [[2, 2], [3, 3]], [[2, 2], [3, 2], [3, 3], [2, 3]], [2, 2, 1, 1]),
    "rectangle between pixels": ("rectangle", [[2.3, 2.1], [6.4, 6]], [[2.3, 2.1], [6.4, 2.1], [6.4, 6], [2.3, 6]],
                                 [2.3, 2.1, 4.1, 3.9]),
    "rectangle of four": ("rectangle", ROTATED, None, [2, 4, 28, 21]),
    "oriented rectangle": ("oriented_rectangle", ROTATED, None, [2, 4, 28, 21]),
    "rotation": ("rotation", [[5, 5], [25, 8], [24, 20], [4, 17]], None, [4, 5, 21, 15]),
    "quadrilateral": ("quadrilateral", [[5, 5], [40, 5], [30, 30], [10, 20]], None, [5, 5, 35, 25]),
    "circle": ("circle", [[30, 20], [38, 26]], disc(30, 20, 10), [20, 10, 20, 20]),
    "circle across the border": ("circle", [[6, 24], [6, 34]], disc(6, 24, 10), [0, 14, 16, 20]),
    "circle from beyond the border": ("circle", [[-6, 24], [-6, 34]], disc(-6, 24, 10), [0, 16, 4, 16]),
    "small circle": ("circle", [[30.5, 20.5], [31.5, 20.5]], disc(30.5, 20.5, 1), [29.5, 19.5, 2, 2]),
}  # fmt: skip


@pytest.mark.parametrize("case", DRAWN)
def test_pixels_are_those_of_cocos_run_lengths_and_the_box_is_the_extent(case, tmp_path):
    kind, points, polygon, box = DRAWN[case]
    write(tmp_path, "a.json", shape(points=points, shape_type=kind))
    instance = only_instance(tmp_path)
    pixels = covered(polygon or points)
    recorded = rasterize(instance.segmentation, HEIGHT, WIDTH)
    # Where a polygon is cut, its edge is rounded to COCO's grid anew; a circle is a polygon of fewer points.
    assert (recorded != pixels).sum() <= (4 if polygon or "border" in case or "corner" in case else 0)
    assert instance.area == recorded.sum()
    assert instance.bbox == pytest.approx(box, abs=0.05)


def test_outlines_are_flattened_points_with_their_fractions(tmp_path):
    write(tmp_path, "a.json", shape(points=[[1.25, 2.5], [9.125, 3], [4, 8.75]]))
    assert only_instance(tmp_path).segmentation == [[1.25, 2.5, 9.125, 3.0, 4.0, 8.75]]


def test_a_rectangle_has_four_corners(tmp_path):
    write(tmp_path, "a.json", shape(points=[[30, 20], [5, 4]], shape_type="rectangle"))
    assert only_instance(tmp_path).segmentation == [[5.0, 4.0, 30.0, 4.0, 30.0, 20.0, 5.0, 20.0]]


def test_a_circle_becomes_a_polygon_within_a_fiftieth_of_a_pixel(tmp_path):
    write(tmp_path, "a.json", shape(points=[[32, 24], [52, 24]], shape_type="circle"))
    (outline,) = only_instance(tmp_path).segmentation
    xs, ys = np.array(outline[::2]) - 32, np.array(outline[1::2]) - 24
    np.testing.assert_allclose(np.hypot(xs, ys), 20)
    assert np.hypot((xs + np.roll(xs, 1)) / 2, (ys + np.roll(ys, 1)) / 2).min() >= 19.98
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == pytest.approx((-20, 20, -20, 20))


def test_a_file_of_labelme_3_without_shape_type_holds_polygons(tmp_path):
    entry = shape()
    del entry["shape_type"], entry["group_id"], entry["flags"]
    write(tmp_path, "a.json", entry)
    assert only_instance(tmp_path).area == 20 * 20


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
    union = covered(SQUARE, [[20, 20], [35, 20], [35, 35]])
    assert (len(joined.segmentation), joined.area, joined.bbox) == (2, union.sum(), (10.0, 10.0, 25.0, 25.0))


def test_a_mask_and_a_polygon_of_one_group_are_encoded_together(tmp_path):
    write(tmp_path, "a.json", shape(group_id=1), mask_shape(np.ones((3, 3)), 40, 40, 42, 42, group_id=1))
    instance = only_instance(tmp_path)
    assert coco_mask.decode(instance.segmentation).sum() == instance.area == 20 * 20 + 9
    assert instance.bbox == (10.0, 10.0, 33.0, 33.0)


def test_the_box_of_a_mask_is_that_of_its_pixels(tmp_path):
    pixels = np.zeros((8, 8))
    pixels[2:5, 3:4] = 1
    write(tmp_path, "a.json", mask_shape(pixels, 10, 10, 17, 17))
    assert only_instance(tmp_path).bbox == (13.0, 12.0, 1.0, 3.0)


def test_a_shape_between_the_centers_of_pixels_covers_nothing(tmp_path):
    write(tmp_path, "a.json", shape(points=[[2.7, 2.7], [3.2, 3.2]], shape_type="rectangle"), shape("bus"))
    annotations = read_folder(tmp_path, settings())
    assert [(fault.kind, fault.shape) for fault in annotations.faults] == [("zero_area", 0)]
    assert annotations.left_out == {"car": {"zero_area": 1}}
