"""Which format a folder has, and folders that have several or none."""

import shutil

import pytest

from sightline.config.data import FORMAT_NAMES
from sightline.data.formats.recognition import recognized
from sightline.data.formats.registry import FORMATS, read_annotations
from sightline.errors import ConfigurationError, DataError
from tests.data.formats.generated import coco, objects, write_image, yolo
from tests.data.formats.labelme_folders import shape
from tests.data.formats.labelme_folders import write as labelme


def csv(root):
    write_image(root / "images/a.jpg")
    (root / "labels.csv").write_text("path,class\nimages/a.jpg,good\n")


def folders(root):
    write_image(root / "good/a.jpg")
    write_image(root / "crack/b.jpg", 1)


WRITERS = {
    "labelme": lambda root: labelme(root, "a.json", shape()),
    "folders": folders,
    "csv": csv,
    "coco": lambda root: coco(root, annotations=[{"bbox": [1, 1, 9, 9]}]),
    "yolo": lambda root: yolo(root, ["0 0.5 0.5 0.2 0.2"], description="names: [car, bus]\n"),
}


def test_every_format_has_a_reader():
    assert tuple(FORMATS) == FORMAT_NAMES == tuple(WRITERS)


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_each_format_is_recognized_and_read(name, tmp_path):
    WRITERS[name](tmp_path)
    (tmp_path / "README.txt").write_text("how the images were taken")
    (tmp_path / "camera.json").write_text('{"exposure": 3}')
    assert recognized(tmp_path) == name
    annotations = read_annotations(tmp_path, objects(), classes_known=False)
    assert annotations.format == name
    assert annotations == read_annotations(tmp_path, objects(format=name), classes_known=False)
    assert annotations.images


def test_yolo_without_yaml_and_labels_beside_the_images_are_recognized(tmp_path):
    write_image(tmp_path / "train/a.jpg")
    (tmp_path / "train/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert recognized(tmp_path) == "yolo"


@pytest.mark.parametrize(("one", "other"), [("labelme", "coco"), ("coco", "yolo"), ("yolo", "csv"), ("csv", "labelme")])
def test_several_formats_are_named_and_one_can_be_chosen(one, other, tmp_path):
    WRITERS[one](tmp_path / "one")
    WRITERS[other](tmp_path / "other")
    for part in ("one", "other"):
        shutil.copytree(tmp_path / part, tmp_path / "both", dirs_exist_ok=True)
    with pytest.raises(DataError) as caught:
        read_annotations(tmp_path / "both", objects())
    assert all(f"{name} (" in str(caught.value) for name in (one, other))
    assert "--set data.format=" in str(caught.value)
    assert read_annotations(tmp_path / "both", objects(format=one), classes_known=False).format == one


def test_files_of_no_format_are_named(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        recognized(tmp_path)
    write_image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"contains 1 image, but no annotations.*data\.format"):
        recognized(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        recognized(tmp_path / "gone")


def test_broken_json_is_left_to_the_reader_that_explains_it(tmp_path):
    labelme(tmp_path, "a.json", shape())
    (tmp_path / "a.json").write_text("{")
    assert recognized(tmp_path) == "labelme"
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    (tmp_path / "a.jpg").unlink()
    assert [fault.kind for fault in read_annotations(tmp_path, objects()).faults] == ["broken_json"]


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigurationError, match="yolo"):
        FORMATS.load("yollo", "data.format")


@pytest.mark.parametrize("content", [b"", b'{"images": [,', "{}".encode("utf-16")])
def test_broken_annotations_are_not_overlooked(tmp_path, content):
    write_image(tmp_path / "images" / "a.jpg")
    (tmp_path / "annotations.json").write_bytes(content)
    annotations = read_annotations(tmp_path, objects(), classes_known=False)
    assert [(fault.kind, fault.file) for fault in annotations.faults] == [("broken_json", "annotations.json")]
