"""The statistics of a dataset, against numbers counted by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from sightline.cli.dataset.options import data_of
from sightline.config.labels import LabelSet, class_names
from sightline.data.tools.explore import GRID, explore
from sightline.errors import DataError
from tests.data.tools.folders import write_class_folders
from tests.data.tools.test_convert import square, write_coco
from tests.labelled_folder import names, write_images, write_picture

DATA, _ = data_of(None, ())


def test_objects_are_counted_measured_and_placed(tmp_path):
    source = write_coco(tmp_path / "in", [square(0, 0, 20)], [square(40, 30, 10)], [square(20, 20, 10)])
    found = explore(source, DATA, classes_known=False)
    assert (found.images, found.objects, found.without_objects, found.format) == (2, 3, 1, "coco")
    assert [(one.name, one.images, one.objects) for one in found.classes] == [("dog", 1, 2), ("cat", 1, 1)]
    assert found.classes[0].sides == [10.0, 12.5, 15.0, 17.5, 20.0]
    assert found.sizes == [[80, 60, 2]]
    assert found.objects_per_image == [1, 0, 0, 1]
    assert sum(found.object_aspects.counts) == 3
    assert found.object_aspects.counts[found.object_aspects.edges.index(1.0)] == 3
    positions = np.array(found.positions)
    assert positions.shape == (GRID, GRID)
    assert positions[0, 0] == pytest.approx(1 / 3, abs=1e-3)
    assert positions[GRID - 1, GRID - 1] == 0
    assert found.co_occurrence.counts == [[1, 1], [1, 1]]
    assert found.label_sets == []


def test_brightness_is_the_mean_gray_value(tmp_path):
    for number, gray in enumerate((3, 100, 250)):
        (tmp_path / "in" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (gray, gray, gray)).save(tmp_path / "in" / "ab"[number % 2] / f"{number}.png")
    found = explore(tmp_path / "in", DATA, classes_known=False)
    assert found.darkest[0] == ("a/0.png", 3.0)
    assert found.brightest[0] == ("a/2.png", 250.0)
    assert [index for index, count in enumerate(found.brightness.counts) if count] == [0, 6, 15]
    assert [(one.name, one.images, one.objects) for one in found.classes] == [("a", 2, 0), ("b", 1, 0)]


def test_duplicates_are_found(tmp_path):
    source = write_class_folders(tmp_path / "in", {"a": 4, "b": 3})
    (source / "b" / "copy.jpg").write_bytes((source / "a" / "000.jpg").read_bytes())
    write_picture(source / "b" / "alike.jpg", seed="a1", change=30)
    found = explore(source, DATA, classes_known=False)
    assert found.identical == [["a/000.jpg", "b/copy.jpg"]]
    assert found.near_duplicates == [["a/001.jpg", "b/alike.jpg"]]
    assert found.near_duplicate_images == 2


def test_label_sets_are_set_against_each_other(tmp_path):
    source = write_class_folders(tmp_path / "in", {"images": 4})
    rows = ["path,mask,age", "images/000.jpg,with,old", "images/001.jpg,with,young", "images/002.jpg,without,old",
            "images/003.jpg,with,old"]  # fmt: skip
    (source / "labels.csv").write_text("\n".join(rows) + "\n")
    sets = {"mask": LabelSet(classes=("with", "without")), "age": LabelSet(classes=("old", "young"))}
    data = DATA.model_copy(update={"label_sets": sets, "classes": class_names(sets)})
    found = explore(source, data, classes_known=True)
    (matrix,) = found.label_sets
    assert matrix.title == "mask and age"
    assert matrix.counts == [[2, 1], [1, 0]]
    assert {one.name: one.images for one in found.classes}["mask/with"] == 3


def test_faults_are_counted_and_do_not_stop_it(tmp_path):
    source = write_images(tmp_path / "in", names(4))
    (source / "001.jpg").write_bytes(b"broken")
    (source / "002.json").write_text("{")
    found = explore(source, DATA, classes_known=False)
    assert found.images == 2
    assert found.faults == {"broken_image": 1, "broken_json": 1}


def test_the_json_has_no_pixels_and_the_samples_are_small(tmp_path):
    source = write_images(tmp_path / "in", names(20))
    found = explore(source, DATA, classes_known=False)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert "thumbnails" not in document
    assert document["images"] == 20
    assert set(found.thumbnails) == {"bird", "cat", "dog"}
    assert all(len(found.thumbnails[one.name]) == len(one.samples) <= 6 for one in found.classes)
    assert found.thumbnails["cat"][0].size == (144, 144)


def test_folders_without_a_usable_image_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    source = write_images(tmp_path / "in", names(1))
    (source / "000.jpg").write_bytes(b"broken")
    for folder in ("empty", "in", "missing"):
        with pytest.raises(DataError):
            explore(tmp_path / folder, DATA, classes_known=False)
