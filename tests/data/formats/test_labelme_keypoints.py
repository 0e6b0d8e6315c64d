"""Keypoints of labelme files: which object has them, their visibility, and every fault."""

import pytest

from sightline.config.labels import Keypoints
from sightline.data.formats.labelme.folder import read_folder
from tests.data.formats.labelme_folders import HEIGHT, WIDTH, settings, shape, write

NAMES = ("nose", "left_eye", "right_eye")
ABSENT = (0.0, 0.0, 0)
LEFT, RIGHT = [[2, 2], [20, 2], [20, 20], [2, 20]], [[40, 10], [60, 10], [60, 40], [40, 40]]


def point(name, x, y, group=None, **flags):
    return shape(name, [[x, y]], "point", group_id=group, flags=flags)


def read(folder, *shapes, **fields):
    write(folder, "a.json", *shapes)
    return read_folder(folder, settings(keypoints=Keypoints(names=NAMES), **fields))


def test_points_belong_to_the_object_with_their_group(tmp_path):
    found = read(
        tmp_path,
        shape("car", LEFT, group_id=1), point("nose", 5, 6, 1), point("right_eye", 7, 8, 1, occluded=True),
        shape("car", RIGHT, group_id=2), point("left_eye", 50, 20, 2),
    )  # fmt: skip
    assert found.faults == []
    assert [instance.keypoints for instance in found.images[0].instances] == [
        ((5.0, 6.0, 2), ABSENT, (7.0, 8.0, 1)),
        (ABSENT, (50.0, 20.0, 2), ABSENT),
    ]


def test_a_single_object_needs_no_group(tmp_path):
    found = read(tmp_path, shape("car", LEFT), point("nose", 5, 6))
    assert found.images[0].instances[0].keypoints == ((5.0, 6.0, 2), ABSENT, ABSENT)
    assert found.faults == []


def test_shapes_of_one_object_share_its_keypoints(tmp_path):
    found = read(tmp_path, shape("car", LEFT, group_id=1), shape("car", RIGHT, group_id=1), point("nose", 50, 20, 1))
    (instance,) = found.images[0].instances
    assert instance.keypoints[0] == (50.0, 20.0, 2)


def test_an_object_without_points_has_absent_keypoints(tmp_path):
    found = read(tmp_path, shape("car", LEFT))
    assert found.images[0].instances[0].keypoints == (ABSENT,) * 3


@pytest.mark.parametrize(
    ("shapes", "faulty"),
    [
        ([shape("car", LEFT), point("nosse", 5, 6)], 1),
        ([shape("car", LEFT), point("nose", 5, 6), point("nose", 8, 6)], 2),
        ([point("nose", 5, 6)], 0),
        ([shape("car", LEFT, group_id=1), point("nose", 5, 6, 2)], 1),
        ([shape("car", LEFT), shape("car", RIGHT), point("nose", 5, 6)], 2),
        ([shape("car", LEFT, group_id=1), shape("bus", RIGHT, group_id=1), point("nose", 5, 6, 1)], 2),
        ([shape("car", LEFT), point("nose", 55, 40)], 1),
    ],
    ids=["unknown name", "twice", "no object", "other group", "ambiguous", "two objects of a group", "far away"],
)
def test_each_fault_names_its_shape_and_does_not_affect_the_object(tmp_path, shapes, faulty):
    found = read(tmp_path, *shapes)
    assert [(fault.kind, fault.shape) for fault in found.faults] == [("bad_keypoint", faulty)]
    assert len(found.images[0].instances) == sum(one["shape_type"] == "polygon" for one in shapes)
    assert found.dropped == {}


def test_dropped_keypoints_are_counted(tmp_path):
    found = read(tmp_path, shape("car", LEFT), point("nosse", 5, 6), faults={"bad_keypoint": "drop"})
    assert found.dropped == {"bad_keypoint": 1}


def test_points_of_an_object_with_a_fault_are_left_out_with_it(tmp_path):
    flat = [[5, 5], [9, 5], [15, 5]]
    found = read(tmp_path, shape("car", flat, group_id=1), point("nose", 5, 6, 1), shape("car", RIGHT, group_id=2))
    assert [fault.kind for fault in found.faults] == ["zero_area"]
    assert [instance.keypoints for instance in found.images[0].instances] == [(ABSENT,) * 3]


def test_a_point_beyond_the_border_is_clipped(tmp_path):
    outline = [[WIDTH - 20, 5], [WIDTH, 5], [WIDTH, HEIGHT], [WIDTH - 20, HEIGHT]]
    found = read(tmp_path, shape("car", outline), point("nose", WIDTH + 3, 7))
    assert [fault.kind for fault in found.faults] == ["outside_image"]
    assert found.images[0].instances[0].keypoints[0] == (float(WIDTH), 7.0, 2)
    assert found.dropped == {"outside_image": 1}


def test_without_configured_keypoints_a_point_is_a_shape_without_area(tmp_path):
    write(tmp_path, "a.json", shape("car", LEFT), point("nose", 5, 6))
    found = read_folder(tmp_path, settings())
    assert [fault.kind for fault in found.faults] == ["unknown_label", "unsupported_shape"]
    assert found.images[0].instances[0].keypoints is None


def test_points_in_few_files_are_not_taken_for_keypoints_if_the_classes_are_unknown(tmp_path):
    for number in range(4):
        points = [point("nose", 5, 6)] if number == 0 else []
        write(tmp_path, f"{number}.json", shape("car", LEFT), *points, seed=number)
    found = read_folder(tmp_path, settings(), classes_known=False)
    assert found.keypoints.names == ()
    assert [fault.kind for fault in found.faults] == ["unsupported_shape"]
