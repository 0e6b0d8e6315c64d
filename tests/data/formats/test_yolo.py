"""Reading YOLO data sets: against supervision, hand-computed keypoints, and every fault with file and line."""

import warnings

import numpy as np
import pytest

from sightline.data.formats.yolo import read_folder
from sightline.data.rasterizer import rasterize
from sightline.errors import DataError
from tests.data.formats.generated import labels, objects, places, write_image, yolo
from tests.data.formats.labelme_folders import HEIGHT, WIDTH

POSE = "names: [car]\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\ntrain: images/train\n"


def oracle(root, *, masks=False):
    """What supervision reads: image name -> boxes, masks, class ids."""
    with warnings.catch_warnings():  # it recommends OpenCV
        warnings.simplefilter("ignore")
        import supervision

        dataset = supervision.DetectionDataset.from_yolo(
            str(root / "images/train"), str(root / "labels/train"), str(root / "data.yaml"), force_masks=masks
        )
        return {path.rpartition("/")[2]: found for path, _, found in dataset}, dataset.classes


def test_boxes_are_those_of_supervision(tmp_path):
    random = np.random.default_rng(0)
    for name in "abc":
        sizes = random.uniform(0.05, 0.4, (4, 2))
        centres = random.uniform(0.2, 0.8, (4, 2))
        boxes = np.hstack([centres, sizes])
        lines = [f"{i % 2} {' '.join(f'{value:.6f}' for value in box)}" for i, box in enumerate(boxes)]
        yolo(tmp_path, lines, name=name, seed=ord(name))
    yolo(tmp_path, [], name="empty", seed=9)
    yolo(tmp_path, [], name="v", split="val", seed=10)
    annotations = read_folder(tmp_path, objects())
    assert annotations.faults == []
    expected, classes = oracle(tmp_path)
    read = {image.image.rpartition("/")[2]: image for image in annotations.images}
    assert classes == ["car", "bus"]
    assert {name: image.split for name, image in read.items()} == {
        "a.jpg": "train", "b.jpg": "train", "c.jpg": "train", "empty.jpg": "train", "v.jpg": "val",
    }  # fmt: skip
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        boxes = np.array([one.bbox for one in read[name].instances])
        boxes[:, 2:] += boxes[:, :2]
        assert np.allclose(boxes, np.clip(expected[name].xyxy, 0, [WIDTH, HEIGHT] * 2), atol=1e-3)
        assert [one.label for one in read[name].instances] == [classes[one] for one in expected[name].class_id]
    assert read["empty.jpg"].instances == ()
    assert len(expected["empty.jpg"]) == 0


def test_polygons_are_those_of_supervision(tmp_path):
    corners = [(0.125, 0.25), (0.75, 0.25), (0.75, 0.5), (0.5, 0.5), (0.5, 0.875), (0.125, 0.875)]  # on whole pixels
    yolo(tmp_path, [f"1 {' '.join(f'{x} {y}' for x, y in corners)}"])
    write_image(tmp_path / "images/val/v.jpg", 3)
    annotations = read_folder(tmp_path, objects())
    (instance,) = annotations.images[0].instances
    found, _ = oracle(tmp_path, masks=True)
    mask = rasterize(instance.segmentation, HEIGHT, WIDTH)
    # Supervision draws polygons with their border, one pixel more to the right and below.
    drawn = found["a.jpg"].mask[0]
    assert np.all(drawn >= mask)
    assert drawn.sum() - mask.sum() <= mask.shape[0] + mask.shape[1]
    assert instance.area == mask.sum() == 40 * 12 + 24 * 18
    assert annotations.unlabelled_images == 1  # v.jpg has no label file


def test_keypoints_with_and_without_visibility(tmp_path):
    lines = ["0 0.5 0.5 0.5 0.5 0.375 0.5 2 0 0 0", "0 0.25 0.25 0.25 0.25 0.25 0.25 1 0.5 0.25 2"]
    yolo(tmp_path, lines, description=POSE)
    data = objects(classes=("car",), keypoints={"names": ("left", "right")})
    annotations = read_folder(tmp_path, data)
    assert annotations.faults == []
    assert [one.keypoints for one in annotations.images[0].instances] == [
        ((24, 24, 2), (0, 0, 0)), ((16, 12, 1), (32, 12, 2)),
    ]  # fmt: skip
    assert annotations.keypoints.flip_pairs == (("keypoint_1", "keypoint_2"),)
    plain = tmp_path / "plain"
    yolo(plain, ["0 0.5 0.5 0.5 0.5 0.375 0.5 0 0"], description=POSE.replace("[2, 3]", "[2, 2]"))
    assert read_folder(plain, data).images[0].instances[0].keypoints == ((24, 24, 2), (0, 0, 0))


def test_named_keypoints_are_put_into_the_configured_order(tmp_path):
    named = POSE + "kpt_names: {0: [left, right]}\n"
    yolo(tmp_path, ["0 0.5 0.5 0.5 0.5 0.375 0.5 2 0.5 0.5 1"], description=named)
    data = objects(classes=("car",), keypoints={"names": ("right", "nose", "left")})
    annotations = read_folder(tmp_path, data)
    assert annotations.images[0].instances[0].keypoints == ((32, 24, 1), (0, 0, 0), (24, 24, 2))
    (fault,) = read_folder(tmp_path, objects(classes=("car",), keypoints={"names": ("righd", "left")})).faults
    assert (fault.kind, fault.file, fault.label) == ("bad_keypoint", "data.yaml", "right")


@pytest.mark.parametrize(("line", "kind"), [
    ("2 0.5 0.5 0.2 0.2", "broken_row"),  # only two names
    ("-1 0.5 0.5 0.2 0.2", "broken_row"),
    ("0.5 0.5 0.5 0.2 0.2", "broken_row"),
    ("car 0.5 0.5 0.2 0.2", "broken_row"),
    ("0 0.5 0.5 0.2", "broken_row"),
    ("0 0.5 0.5 0.2 0.2 0.9", "broken_row"),  # a confidence
    ("0 0.5 0.5 0.2 0.2 0.9 0.1 0.3", "broken_row"),  # half a point
    ("0 320 240 100 100", "broken_row"),  # pixels
    ("0 1.1 0.5 0.4 0.2", "outside_image"),
    ("0 -0.1 0.5 0.4 0.2", "outside_image"),
    ("0 0.1 0.1 1.2 0.1 0.5 0.9", "outside_image"),
    ("0 0.5 0.5 0 0.2", "zero_area"),
    ("0 0.1 0.1 0.2 0.2 0.3 0.3", "zero_area"),  # points on a line
    ("0 nan 0.5 0.2 0.2", "not_finite"),
    ("0 0.25 0.25 0.125 0.125", "duplicate_shape"),  # line 1 again
])  # fmt: skip
def test_each_fault_names_file_and_line(line, kind, tmp_path):
    yolo(tmp_path, ["0 0.25 0.25 0.125 0.125", "", line])
    yolo(tmp_path, [], name="v", split="val", seed=1)
    annotations = read_folder(tmp_path, objects())
    assert places(annotations) == [(kind, "labels/train/a.txt", "line 3")]
    first = annotations.images[0].instances[0]
    assert (first.label, first.bbox) == ("car", (12, 9, 8, 6))


@pytest.mark.parametrize(("line", "kind"), [
    ("0 0.5 0.5 0.5 0.5", "broken_row"),
    ("0 0.5 0.5 0.5 0.5 0.5 0.5 2", "bad_keypoint"),  # one keypoint of two
    ("0 0.5 0.5 0.5 0.5 0.5 0.5 3 0 0 0", "bad_keypoint"),  # a visibility of 3
    ("0 0.2 0.2 0.1 0.1 0.9 0.9 2 0 0 0", "bad_keypoint"),  # far from its box
])  # fmt: skip
def test_faults_of_keypoints(line, kind, tmp_path):
    yolo(tmp_path, [line], description=POSE)
    annotations = read_folder(tmp_path, objects(classes=("car",), keypoints={"names": ("left", "right")}))
    assert places(annotations) == [(kind, "labels/train/a.txt", "line 1")]


@pytest.mark.parametrize(("description", "kind", "entry"), [
    ("names: [car, bus]\nnc: 3\n", "broken_row", "names"),
    ("names: {0: car, 2: bus}\n", "broken_row", "names"),
    ("names: car\n", "broken_row", "names"),
    ("names: [car, bus]\nkpt_shape: 17\n", "broken_row", "kpt_shape"),
    ("names: [car, bus]\nflip_idx: [0, 0]\nkpt_shape: [2, 3]\n", "broken_row", "flip_idx"),
    ("names: [car, bus]\ntrain: images/trian\n", "broken_row", "train"),
    ("names: [car, bus]\ntrain: images/train\nval: images/train\n", "duplicate_image", "val"),
    ("names: [car\n", "broken_row", ""),
])  # fmt: skip
def test_faults_of_the_description(description, kind, entry, tmp_path):
    yolo(tmp_path, [], description=description)
    assert places(read_folder(tmp_path, objects())) == [(kind, "data.yaml", entry)]


def test_label_files_without_image_and_broken_files(tmp_path):
    yolo(tmp_path, ["0 0.5 0.5 0.2 0.2"], description="names: {0: car, 1: bus}\n")
    (tmp_path / "labels/train/gone.txt").write_text("")
    yolo(tmp_path, ["0 0.5 0.5 0.2 0.2"], name="b", description="names: {0: car, 1: bus}\n")
    (tmp_path / "labels/train/b.txt").write_bytes(b"\xff\xfe0")
    (tmp_path / "images/train/a.jpg").write_bytes(b"no image")
    assert places(read_folder(tmp_path, objects())) == [
        ("missing_image", "labels/train/gone.txt", ""),
        ("broken_image", "labels/train/a.txt", ""),
        ("broken_row", "labels/train/b.txt", ""),
    ]
    dropping = objects(faults={"missing_image": "drop", "broken_image": "drop", "broken_row": "drop"})
    assert read_folder(tmp_path, dropping).dropped == {"missing_image": 1, "broken_image": 1, "broken_row": 1}


@pytest.mark.parametrize(
    "written", ["../train/images", "/content/data/train/images", "train/images", "./train", "lists/train.txt"]
)
def test_paths_of_moved_data_sets_are_found(written, tmp_path):
    write_image(tmp_path / "train/images/a.jpg")
    (tmp_path / "train/labels").mkdir()
    (tmp_path / "train/labels/a.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/train.txt").write_text("./train/images/a.jpg\n")
    (tmp_path / "data.yaml").write_text(f"path: /content/data\ntrain: {written}\nnames:\n  0: car\n  1: bus\n")
    annotations = read_folder(tmp_path, objects())
    assert annotations.faults == []
    assert [(one.split, one.instances[0].label) for one in annotations.images] == [("train", "bus")]


def test_an_unknown_name_is_suggested_and_images_need_no_yaml(tmp_path):
    yolo(tmp_path, ["0 0.5 0.5 0.2 0.2"], split="test", description="names: [bsu]\n")
    (fault,) = read_folder(tmp_path, objects()).faults
    assert (fault.kind, fault.file, fault.entry, fault.label) == ("unknown_label", "labels/test/a.txt", "line 1", "bsu")
    assert "did you mean 'bus'" in fault.reason
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("bus\ncar\n")
    (image,) = read_folder(tmp_path, objects()).images
    assert (image.split, image.instances[0].label) == ("test", "bus")


def test_a_task_that_classifies_images_is_refused(tmp_path):
    yolo(tmp_path, [])
    with pytest.raises(DataError, match="classifies whole images"):
        read_folder(tmp_path, labels())


@pytest.mark.parametrize("names", ["[car, car]", "[car, null]", "[car, '']", "{0: car, 1: car}"])
def test_names_that_are_missing_or_given_twice_are_faults(tmp_path, names):
    yolo(tmp_path, ["0 .5 .5 .2 .2"], description=f"names: {names}\ntrain: images/train\n")
    faults = read_folder(tmp_path, objects(), classes_known=False).faults
    assert [(fault.kind, fault.file, fault.entry) for fault in faults] == [("broken_row", "data.yaml", "names")]


def test_a_split_that_is_no_path_is_a_fault(tmp_path):
    yolo(tmp_path, ["0 .5 .5 .2 .2"], description="names: [car, bus]\ntrain: [images/train, 5]\nval: 7\n")
    assert places(read_folder(tmp_path, objects())) == [
        ("broken_row", "data.yaml", "train"), ("broken_row", "data.yaml", "val"),
    ]  # fmt: skip


@pytest.mark.parametrize("prefix", ["/content/data/images/train/", "C:\\data\\images\\train\\", "./images/train/"])
def test_lists_of_datasets_that_were_moved_are_read(tmp_path, prefix):
    yolo(tmp_path, ["0 .5 .5 .2 .2"], description="names: [car, bus]\ntrain: train.txt\n")
    (tmp_path / "train.txt").write_text(f"{prefix}a.jpg\r\n")
    annotations = read_folder(tmp_path, objects())
    assert not annotations.faults
    assert [image.split for image in annotations.images] == ["train"]


def test_an_empty_list_is_a_fault(tmp_path):
    yolo(tmp_path, ["0 .5 .5 .2 .2"], description="names: [car, bus]\ntrain: train.txt\n")
    (tmp_path / "train.txt").write_text("\n")
    assert places(read_folder(tmp_path, objects())) == [("broken_row", "train.txt", "")]


def test_a_label_file_of_two_images_is_a_fault(tmp_path):
    yolo(tmp_path, ["0 .5 .5 .2 .2"], description="names: [car, bus]\ntrain: images/train\n")
    write_image(tmp_path / "images" / "train" / "a.png", seed=5)
    assert places(read_folder(tmp_path, objects())) == [("duplicate_image", "labels/train/a.txt", "")]
