"""Figures: keypoints lie on the figure, visibility is true, and the files are labelme's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from sightline.cli.demo import command
from sightline.config.labels import Keypoints
from sightline.demo.figures.body import figure, random_clothes
from sightline.demo.figures.draw import draw_dataset, draw_image
from sightline.demo.figures.keypoints import FLIP_PAIRS, NAMES, SKELETON
from sightline.demo.figures.pose import random_pose
from sightline.demo.geometry import capsule, circle, hull, inside
from sightline.errors import DataError

SIZE = (384, 288)


@pytest.fixture(scope="module")
def drawn():
    return [draw_image(5, index, SIZE) for index in range(40)]


def test_the_constants_are_keypoints_of_a_recipe():
    keypoints = Keypoints(names=NAMES, skeleton=SKELETON, flip_pairs=FLIP_PAIRS)
    assert len(keypoints.names) == 13
    assert {name for pair in keypoints.flip_pairs for name in pair} == set(NAMES) - {"nose"}
    assert {name for pair in keypoints.skeleton for name in pair} == set(NAMES)


def test_keypoints_lie_in_the_outline_of_their_figure(drawn):
    for _, truths in drawn:
        for truth in truths:
            seen = truth.visibility > 0
            assert inside(truth.keypoints[seen], truth.outline).mean() > 0.9
            nearest = np.linalg.norm(truth.keypoints[seen][:, None] - truth.outline, axis=-1).min(axis=1)
            assert (inside(truth.keypoints[seen], truth.outline) | (nearest < 4)).all()


def test_points_outside_of_the_image_are_absent_and_no_others(drawn):
    for image, truths in drawn:
        for truth in truths:
            within = ((truth.keypoints >= 0) & (truth.keypoints < image.size)).all(axis=1)
            assert (within == (truth.visibility > 0)).all()
            assert truth.outline.min() >= 0
            assert (truth.outline <= image.size).all()


def test_every_number_of_figures_and_every_visibility_appears(drawn):
    assert {len(truths) for _, truths in drawn} == {1, 2, 3}
    visibility = np.concatenate([truth.visibility for _, truths in drawn for truth in truths])
    shares = np.bincount(visibility, minlength=3) / len(visibility)
    assert 0.005 < shares[0] < 0.2
    assert 0.02 < shares[1] < 0.3


def test_there_are_no_more_figures_than_allowed(drawn):
    for most in (1, 2):
        counts = [len(draw_image(5, index, SIZE, most)[1]) for index in range(12)]
        assert max(counts) == most
    alone = next(index for index, (_, truths) in enumerate(drawn) if len(truths) == 1)
    assert draw_image(5, alone, SIZE, 1)[0].tobytes() == drawn[alone][0].tobytes()


@pytest.mark.parametrize("most", [0, 4])
def test_a_number_of_figures_out_of_range_leaves_no_folder(most, tmp_path):
    with pytest.raises(DataError, match=str(most)):
        draw_dataset(tmp_path / "set", images=1, seed=0, most=most)
    assert not (tmp_path / "set").exists()


def test_the_command_draws_single_figures_and_refuses_them_for_other_kinds(tmp_path):
    options = ["--images", "6", "--seed", "5", "--figures", "1"]
    result = CliRunner().invoke(command, ["draw", str(tmp_path / "set"), "--kind", "figures", *options])
    assert result.exit_code == 0, result.output
    documents = [json.loads(file.read_text()) for file in sorted((tmp_path / "set").glob("*.json"))]
    assert [{shape["group_id"] for shape in document["shapes"]} for document in documents] == [{1}] * 6
    result = CliRunner().invoke(command, ["draw", str(tmp_path / "other"), "--kind", "tyres", *options])
    assert result.exit_code == 2
    assert not (tmp_path / "other").exists()


def test_the_left_is_on_the_right_of_the_image_if_the_figure_faces_the_camera():
    rng = np.random.default_rng(1)
    sides = {-1: 0, 1: 0}
    for _ in range(100):
        pose = random_pose(rng)
        x = figure(pose, random_clothes(rng)).keypoints[:, 0]
        facing = int(np.sign(pose.facing))
        sides[facing] += 1
        assert np.sign(x[NAMES.index("right_shoulder")] - x[NAMES.index("left_shoulder")]) == facing
        assert np.sign(x[NAMES.index("right_hip")] - x[NAMES.index("left_hip")]) == facing
    assert min(sides.values()) > 2


def test_a_figure_from_behind_hides_its_nose():
    rng = np.random.default_rng(2)
    for _ in range(60):
        pose = random_pose(rng)
        hidden = figure(pose, random_clothes(rng)).hidden([])
        if pose.facing > 0:
            assert hidden[NAMES.index("nose")]


def test_what_stands_in_front_hides_what_it_covers():
    rng = np.random.default_rng(3)
    one = figure(random_pose(rng), random_clothes(rng)).placed(100.0, np.array([200.0, 150.0]))
    assert one.hidden([*one.parts]).all()
    aside = one.placed(1.0, np.array([1000.0, 0.0]))
    assert (one.hidden([*aside.parts]) == one.hidden([])).all()


def test_the_files_hold_what_is_drawn(tmp_path):
    for index, file in enumerate(draw_dataset(tmp_path, images=8, seed=5)):
        document = json.loads(file.read_text())
        assert (document["imageWidth"], document["imageHeight"]) == SIZE
        _, truths = draw_image(5, index)
        groups = {shape["group_id"] for shape in document["shapes"]}
        assert groups == set(range(1, len(truths) + 1))
        for group, truth in enumerate(truths, start=1):
            outline, *points = [shape for shape in document["shapes"] if shape["group_id"] == group]
            assert (outline["label"], outline["shape_type"]) == ("figure", "polygon")
            assert {point["shape_type"] for point in points} == {"point"}
            visibility = dict.fromkeys(NAMES, 0)
            for point in points:
                visibility[point["label"]] = 1 if point["flags"].get("occluded") else 2
                at = truth.keypoints[NAMES.index(point["label"])]
                np.testing.assert_allclose(point["points"], at[None], atol=0.00501)
            assert list(visibility.values()) == truth.visibility.tolist()
            assert len(points) == (truth.visibility > 0).sum()


def test_outlines_are_those_of_the_circles():
    both = np.concatenate([circle((0, 0), 3.0, 400), circle((8, 2), 1.0, 400)])
    convex = hull(both)
    around = capsule((0, 0), 3.0, (8, 2), 1.0)
    assert inside(both * 0.999, convex).mean() > 0.99
    assert _area(around) == pytest.approx(_area(convex), rel=0.04)
    assert _area(capsule((0, 0), 3.0, (1, 0), 1.0)) == pytest.approx(_area(circle((0, 0), 3.0)))


def _area(points):
    x, y = points.T
    return abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
