"""COCO documents: merging, reading, and every fault that is refused."""

import copy
import json

import pytest

from sightline.config.data import Data
from sightline.data.annotations import Instance, LabelledImage
from sightline.data.formats.coco import coco_bytes, read_coco, validate_coco
from sightline.data.recording.merge import merge
from sightline.errors import DataError
from tests.golden import raises


def labelled(name: str, *labels: str, embedded: bytes | None = None) -> LabelledImage:
    outline = [[1.5, 2.0, 11.5, 2.0, 6.0, 20.25]]
    instances = tuple(Instance(label, outline, (1.5, 2.0, 10.0, 18.25), 91.25) for label in labels)
    return LabelledImage(f"{name}.json", f"{name}.jpg", embedded, 64, 48, 100, name * 8, 5, name, (), instances)


@pytest.fixture
def documents():
    of = [labelled("a", "cat", "dog"), labelled("b", "dog"), labelled("c", embedded=b"jpeg"), labelled("d", "cat")]
    return merge(of, ["train", "val", "test", "train"], Data(repository=".", classes=("dog", "cat", "bird")), "pets")


def test_ids_run_from_one_through_all_documents(documents):
    train, val, test = documents["train"], documents["val"], documents["test"]
    assert [image["id"] for image in train["images"]] == [1, 4]
    assert [image["id"] for image in val["images"]] == [2]
    assert [entry["id"] for entry in train["annotations"]] == [1, 2, 4]
    assert train["categories"] == [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}, {"id": 3, "name": "bird"}]
    assert [entry["category_id"] for entry in train["annotations"]] == [2, 1, 2]
    assert test["annotations"] == []


def test_names_say_where_the_image_lies_and_areas_are_kept(documents):
    assert documents["train"]["images"][0]["file_name"] == "annotations/pets/a.jpg"
    assert documents["test"]["images"][0]["file_name"] == "training/pets/c.jpg"
    assert documents["val"]["annotations"][0]["area"] == 91.25


def test_equal_documents_are_equal_bytes_and_come_back(documents, tmp_path):
    path = tmp_path / "train.json"
    path.write_bytes(coco_bytes(documents["train"]))
    assert read_coco(path) == documents["train"]
    shuffled = dict(reversed(documents["train"].items()))
    assert coco_bytes(shuffled) == path.read_bytes()


def test_pycocotools_reads_the_document(documents, tmp_path):
    from pycocotools.coco import COCO

    path = tmp_path / "train.json"
    path.write_bytes(coco_bytes(documents["train"]))
    coco = COCO(str(path))
    assert coco.annToMask(coco.loadAnns(1)[0]).sum() > 50


def test_two_files_that_annotate_one_image_are_named():
    one, other = labelled("a", "cat"), labelled("a", "dog")
    other = LabelledImage("again.json", *(getattr(other, name) for name in LabelledImage.__slots__[1:]))
    with raises(DataError, "a.json", "again.json", "a.jpg"):
        merge([one, other], ["train", "train"], Data(repository=".", classes=("cat", "dog")), "pets")


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("annotations", 0, "id"), 0, "id 0"),
        (("annotations", 0, "id"), True, "id True"),
        (("annotations", 1, "id"), 1, "annotations: id 1"),
        (("images", 1, "id"), 1, "images: id 1"),
        (("images", 1, "file_name"), "annotations/pets/a.jpg", "annotations/pets/a.jpg"),
        (("images", 1, "file_name"), "../a.jpg", "file_name"),
        (("images", 1, "file_name"), "/etc/passwd", "/etc/passwd"),
        (("images", 1, "width"), 0, "0 x 48"),
        (("categories", 1, "name"), "dog", "dog"),
        (("annotations", 0, "image_id"), 9, "image_id"),
        (("annotations", 0, "category_id"), 9, "category_id"),
        (("annotations", 0, "bbox"), [1, 2, 0, 5], "bbox"),
        (("annotations", 0, "bbox"), [1, 2, float("nan"), 5], "bbox"),
        (("annotations", 0, "bbox"), [60, 2, 10, 5], "bbox"),
        (("annotations", 0, "area"), 0, "area 0"),
        (("annotations", 0, "iscrowd"), 1, "iscrowd"),
        (("annotations", 0, "segmentation"), [[1, 2, 3, 4]], "annotation 1"),
        (("annotations", 0, "segmentation"), [], "annotation 1"),
        (("annotations", 0, "segmentation"), {"size": [5, 5], "counts": "x"}, "annotation 1"),
        (("annotations", 0, "bbox"), [1, 2], "COCO"),
        (("annotations", 0), {"id": 1}, "COCO"),
        (("images",), None, "COCO"),
    ],
)
def test_faults_are_named(documents, path, value, fault):
    document = copy.deepcopy(documents["train"])
    *parents, last = path
    part = document
    for key in parents:
        part = part[key]
    part[last] = value
    with raises(DataError, fault):
        validate_coco(document, "train.json")


def test_many_faults_are_counted(documents):
    document = copy.deepcopy(documents["train"])
    document["annotations"] = [{**document["annotations"][0], "id": -number} for number in range(50)]
    with raises(DataError):
        validate_coco(document, "train.json")


def test_a_file_that_is_no_json_is_named(tmp_path):
    (tmp_path / "train.json").write_text("{")
    with raises(DataError, "train.json", "COCO"):
        read_coco(tmp_path / "train.json")
    (tmp_path / "train.json").write_text(json.dumps([]))
    with raises(DataError, "COCO"):
        read_coco(tmp_path / "train.json")
