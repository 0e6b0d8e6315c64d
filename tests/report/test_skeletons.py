"""Skeletons and landmark pictures: left and right can be told apart, hidden keypoints are hollow."""

import numpy as np
import pytest
from PIL import Image

from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.label_schema import keypoint_schema, schema_of
from sightline.report.drawing.landmarks import draw_landmarks
from sightline.report.drawing.skeletons import LEFT, MIDDLE, RIGHT, draw_skeletons
from sightline.tasks.evaluators import open_evaluator
from tests.arrows import KEYPOINTS, write_coco

SCHEMA = schema_of(KEYPOINTS)
GRAY = Image.new("RGB", (800, 600), (100, 100, 100))
POINTS = np.array([[[400, 100], [200, 500], [600, 500]]], float)


def at(picture, x, y):
    return picture.convert("RGB").getpixel((int(x), int(y)))


def test_limbs_have_the_color_of_their_side():
    drawn = draw_skeletons(GRAY, POINTS, np.full((1, 3), 2), SCHEMA)
    assert at(drawn, 300, 300) == LEFT
    assert at(drawn, 500, 300) == RIGHT
    assert [at(drawn, *point) for point in POINTS[0]] == [MIDDLE, LEFT, RIGHT]
    assert at(GRAY, 300, 300) == (100, 100, 100)


def test_hidden_joints_are_hollow_and_absent_ones_have_no_limbs():
    drawn = draw_skeletons(GRAY, POINTS + (0, 0), np.array([[2, 1, 0]]), SCHEMA)
    around = [at(drawn, 200 + x, 500 + y) for x in range(-6, 7) for y in range(-6, 7)]
    assert at(drawn, 200, 502) == (100, 100, 100)
    assert LEFT in around
    assert at(drawn, 500, 300) == at(drawn, 600, 500) == (100, 100, 100)


def test_truth_and_prediction_are_drawn_alike(tmp_path):
    truth = write_coco(tmp_path, 1)
    evaluator = open_evaluator("keypoints", "none", {1: "arrow"}, keypoint_schema(truth))
    image, annotations = Image.open(tmp_path / "0.png"), truth["annotations"]
    points = np.array([one["keypoints"] for one in annotations], np.float32).reshape(-1, 3, 3)
    boxes = np.array([[x, y, x + width, y + height] for x, y, width, height in (one["bbox"] for one in annotations)])
    sure = np.where(points[..., 2:] == 2, 0.9, 0.1)
    found = KeypointDetections(
        image_id=1,
        boxes_xyxy=boxes.astype(np.float32),
        scores=np.ones(len(boxes), np.float32),
        category_ids=np.ones(len(boxes), np.int64),
        keypoints=np.concatenate([points[..., :2], sure], axis=2).astype(np.float32),
    )
    both = [np.asarray(evaluator.draw_truth(image, annotations)), np.asarray(evaluator.draw(image, found))]
    assert both[0].shape == both[1].shape == (2 * image.height, 2 * image.width, 3)
    colours = [{tuple(pixel) for pixel in one.reshape(-1, 3).tolist()} for one in both]
    assert {LEFT, RIGHT} <= colours[0] & colours[1]
    described = evaluator.describe(found, brief=True)
    assert list(described["detections"][0]["keypoints"]) == ["front", "left", "right"]
    assert evaluator.line(described) == "2 detections"


@pytest.mark.parametrize("mode", ["gray", "color", "heatmap"])
def test_landmark_pictures_show_the_keypoints(mode):
    drawn = draw_landmarks(GRAY, POINTS, SCHEMA, mode)
    assert drawn.size == GRAY.size
    assert drawn.mode == ("RGB" if mode == "color" else "L")
    if mode == "color":
        assert at(drawn, 200, 500) == LEFT
        return
    values = np.asarray(drawn).astype(int)
    assert [values[int(y), int(x)] >= 250 for x, y in POINTS[0]] == [True] * 3
    assert values[300, 400] == 0
    assert (len(np.unique(values)) > 50) == (mode == "heatmap")


def test_gaussians_are_summed():
    close = np.array([[[400.0, 300.0], [420.0, 300.0], [700.0, 100.0]]])
    alone, both = (
        np.asarray(draw_landmarks(GRAY, points, SCHEMA, "heatmap")).astype(int) for points in (close[:, :1], close)
    )
    assert both[300, 410] > alone[300, 410] > 0


def test_without_objects_a_landmark_picture_is_black():
    for mode in ("gray", "heatmap"):
        assert not np.asarray(draw_landmarks(GRAY, np.zeros((0, 3, 2)), SCHEMA, mode)).any()
