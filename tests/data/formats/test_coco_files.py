"""Reading COCO files of others: against pycocotools, and every fault with its file and annotation."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from sightline.data.formats.coco_files import read_folder
from sightline.data.formats.run_lengths import decompressed, run_lengths
from sightline.data.rasterizer import rasterize
from tests.data.formats.generated import coco, labels, objects, places, ring, write_image
from tests.data.formats.labelme_folders import HEIGHT, WIDTH

TRIANGLE = [10, 10, 40, 12, 20, 30]
BOX = {"bbox": [5, 6, 20, 10]}
NAMES = ["nose", "left_eye", "right_eye"]
FACE = [{"id": 1, "name": "car", "keypoints": NAMES, "skeleton": [[1, 2], [1, 3]]}]


def compressed(mask):
    encoded = coco_mask.encode(np.asfortranarray(mask))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()}


def uncompressed(mask):
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": runs if flat[0] == 0 else [0, *runs]}


def test_masks_boxes_and_areas_are_those_of_pycocotools(tmp_path):
    two_parts = [TRIANGLE, [45, 5, 60, 5, 60, 20, 45, 20]]
    coco(tmp_path, images=["a.jpg", "empty.jpg"], annotations=[
        {"segmentation": [TRIANGLE], "bbox": [10, 10, 30, 20], "iscrowd": 0},
        {"segmentation": two_parts, "category_id": 2},
        {"segmentation": compressed(ring())},
        {"segmentation": uncompressed(ring()[:, ::-1]), "category_id": 2},
        {"segmentation": compressed(ring()), "iscrowd": 1},
    ])  # fmt: skip
    annotations = read_folder(tmp_path, objects())
    assert places(annotations) == [("crowd", "annotations/train.json", "annotation 5")]
    assert annotations.dropped == {"crowd": 1}
    image, empty = annotations.images
    assert (empty.image, empty.instances) == ("images/empty.jpg", ())
    oracle = COCO(str(tmp_path / "annotations/train.json"))
    expected = [oracle.annToMask(one) for one in oracle.loadAnns([1, 2, 3, 4])]
    assert [one.label for one in image.instances] == ["car", "bus", "car", "bus"]
    for instance, mask in zip(image.instances, expected, strict=True):
        assert np.array_equal(rasterize(instance.segmentation, HEIGHT, WIDTH), mask)
        assert instance.area == mask.sum()
    assert image.instances[0].bbox == (10, 10, 30, 20)
    assert image.instances[2].bbox == (8, 5, 32, 25)


def test_boxes_alone_and_ids_from_zero_are_read(tmp_path):
    categories = [{"id": 0, "name": "car"}, {"id": 7, "name": "bus"}]
    document = coco(tmp_path, annotations=[{"id": 0, "category_id": 0, **BOX}, {"id": 1, "category_id": 7, **BOX}],
                    categories=categories)  # fmt: skip
    document["images"][0]["id"] = 0
    for annotation in document["annotations"]:
        annotation["image_id"] = 0
    (tmp_path / "annotations/train.json").write_text(json.dumps(document))
    annotations = read_folder(tmp_path, objects())
    assert annotations.faults == []
    assert [(one.label, one.bbox, one.area) for one in annotations.images[0].instances] == [
        ("car", (5, 6, 20, 10), 200), ("bus", (5, 6, 20, 10), 200),
    ]  # fmt: skip


def test_keypoints_are_put_into_the_configured_order(tmp_path):
    points = [20, 10, 2, 12, 8, 1, 99, 99, 0]
    two = [{**BOX, "keypoints": points, "num_keypoints": 2}, {"bbox": [1, 1, 9, 9]}]
    coco(tmp_path, annotations=two, categories=FACE)
    wanted = ["right_eye", "nose", "left_eye"]
    annotations = read_folder(tmp_path, objects(keypoints={"names": wanted}))
    assert annotations.faults == []
    first, second = annotations.images[0].instances
    assert first.keypoints == ((0, 0, 0), (20, 10, 2), (12, 8, 1))
    assert second.keypoints == ((0, 0, 0),) * 3


def test_the_keypoints_that_a_file_declares_are_found(tmp_path):
    coco(tmp_path, annotations=[{**BOX, "keypoints": [20, 10, 2, 12, 8, 1, 0, 0, 0]}], categories=FACE)
    found = read_folder(tmp_path, objects(), classes_known=False)
    assert found.keypoints.names == tuple(NAMES)
    assert found.keypoints.skeleton == (("nose", "left_eye"), ("nose", "right_eye"))
    assert found.keypoints.flip_pairs == (("left_eye", "right_eye"),)


@pytest.mark.parametrize(("annotation", "kind"), [
    ({**BOX, "category_id": 9}, "broken_row"),  # no such category
    ({**BOX, "image_id": 9}, "broken_row"),  # no such image
    ({**BOX, "id": 1}, "broken_row"),  # the id of the annotation before
    ({}, "broken_row"),  # neither segmentation nor box
    ({"bbox": [1, 2, 3]}, "broken_row"),
    ({"bbox": [5, 5, 0, 9]}, "zero_area"),
    ({"bbox": [5, 5, 9, -1]}, "zero_area"),
    ({"bbox": [50, 5, 30, 9]}, "outside_image"),
    ({"bbox": [float("nan"), 5, 30, 9]}, "not_finite"),
    ({"segmentation": [[1, 1, 5, 5, 9]]}, "broken_row"),  # odd
    ({"segmentation": [[1, 1, 5, 5]]}, "zero_area"),
    ({"segmentation": [["a", 1, 5, 5, 9, 1]]}, "broken_row"),
    ({"segmentation": [[1, 1, 5, 5, 9, 9]]}, "zero_area"),  # on a line
    ({"segmentation": compressed(ring()[:40])}, "broken_row"),  # a mask of another size
    ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [5, 9]}}, "broken_row"),  # too few pixels
    ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "~~"}}, "broken_row"),
    ({"segmentation": compressed(ring()), "iscrowd": 1}, "crowd"),
    ({"bbox": [2, 2, 9, 9]}, "duplicate_shape"),  # the same as annotation 1
    ({**BOX, "keypoints": [1, 2, 2]}, "bad_keypoint"),  # not 3 K numbers
    ({**BOX, "keypoints": [9, 9, 3, 0, 0, 0, 0, 0, 0]}, "bad_keypoint"),  # a visibility of 3
    ({**BOX, "keypoints": [60, 45, 2, 0, 0, 0, 0, 0, 0]}, "bad_keypoint"),  # far from its box
])  # fmt: skip
def test_each_fault_names_file_and_annotation(annotation, kind, tmp_path):
    coco(tmp_path, annotations=[{"bbox": [2, 2, 9, 9]}, annotation], categories=[*FACE, {"id": 2, "name": "bus"}])
    annotations = read_folder(tmp_path, objects(keypoints={"names": NAMES}))
    entry = "annotations[1]" if annotation.get("id") == 1 else "annotation 2"
    assert places(annotations) == [(kind, "annotations/train.json", entry)]
    assert annotations.images[0].instances[0].label == "car"


@pytest.mark.parametrize(("change", "kind", "entry"), [
    (lambda d: d["images"].append({**d["images"][0], "file_name": "b.jpg"}), "broken_row", "images[1]"),  # an id twice
    (lambda d: d["images"].append({**d["images"][0], "id": 2}), "duplicate_image", "image 1"),
    (lambda d: d["images"][0].update(file_name="gone.jpg"), "missing_image", "image 1"),
    (lambda d: d["images"][0].update(file_name="../../a.jpg"), "unsafe_path", "image 1"),
    (lambda d: d["images"][0].update(file_name="/a.jpg"), "unsafe_path", "image 1"),
    (lambda d: d["images"][0].pop("file_name"), "broken_row", "image 1"),
    (lambda d: d["images"][0].update(width=WIDTH + 1), "wrong_image_size", "image 1"),
    (lambda d: d["categories"][0].update(name="cat"), "unknown_label", "annotation 1"),
    (lambda d: d["categories"].append(d["categories"][0]), "broken_row", "categories[2]"),
    (lambda d: d.pop("annotations"), "broken_json", ""),
    (lambda d: d.update(images={}), "broken_json", ""),
])  # fmt: skip
def test_faults_of_images_and_categories(change, kind, entry, tmp_path):
    document = coco(tmp_path, annotations=[BOX])
    change(document)
    (tmp_path / "annotations/train.json").write_text(json.dumps(document))
    annotations = read_folder(tmp_path, objects())
    assert (kind, "annotations/train.json", entry) in places(annotations)
    assert {place[0] for place in places(annotations)} == {kind}
    if kind == "unknown_label":
        assert "did you mean 'car'" in annotations.faults[0].reason


def test_a_broken_image_and_broken_json_are_listed_together(tmp_path):
    coco(tmp_path, annotations=[BOX])
    (tmp_path / "images/a.jpg").write_bytes(b"no image")
    (tmp_path / "annotations/val.json").write_text('{"images": [], "categories": [}')
    assert places(read_folder(tmp_path, objects())) == [
        ("broken_json", "annotations/val.json", ""), ("broken_image", "annotations/train.json", "image 1"),
    ]  # fmt: skip


def test_dropped_faults_are_counted_by_class(tmp_path):
    coco(tmp_path, annotations=[BOX, {"segmentation": compressed(ring()), "iscrowd": 1}, {"bbox": [50, 5, 30, 9]},
                                {**BOX, "category_id": 9}])  # fmt: skip
    annotations = read_folder(tmp_path, objects(faults={"broken_row": "drop"}))
    assert annotations.dropped == {"crowd": 1, "outside_image": 1, "broken_row": 1}
    assert annotations.left_out == {"car": {"crowd": 1}}
    assert [one.bbox for one in annotations.images[0].instances] == [(5, 6, 20, 10), (50, 5, 14, 9)]


def test_file_names_and_folders_give_the_split_and_find_images(tmp_path):
    for split in ("train2017", "val2017"):
        name = f"annotations/instances_{split}.json"
        coco(tmp_path, name=name, images=[], annotations=[])
        document = json.loads((tmp_path / name).read_text())
        document["images"] = [{"id": 3, "file_name": "0.jpg", "width": WIDTH, "height": HEIGHT}]
        (tmp_path / name).write_text(json.dumps(document))
        write_image(tmp_path / split / "0.jpg", seed=len(split))
    write_image(tmp_path / "test/1.jpg", seed=77)
    coco(tmp_path / "test", name="_annotations.coco.json", images=[])
    document = json.loads((tmp_path / "test/_annotations.coco.json").read_text())
    document["images"] = [{"id": 3, "file_name": "1.jpg"}]
    (tmp_path / "test/_annotations.coco.json").write_text(json.dumps(document))
    annotations = read_folder(tmp_path, objects())
    assert annotations.faults == []
    assert [(image.image, image.split) for image in annotations.images] == [
        ("test/1.jpg", "test"), ("train2017/0.jpg", "train"), ("val2017/0.jpg", "val"),
    ]  # fmt: skip


def test_categories_label_whole_images_of_a_classification(tmp_path):
    categories = [{"id": 1, "name": "good"}, {"id": 2, "name": "crack"}]
    document = coco(tmp_path, images=["a.jpg", "b.jpg", "c.jpg"], categories=categories,
                    annotations=[{}, {"image_id": 2, "category_id": 2, **BOX}, {"image_id": 3},
                                 {"image_id": 3, "category_id": 2}])  # fmt: skip
    assert len(document["annotations"]) == 4
    annotations = read_folder(tmp_path, labels())
    assert places(annotations) == [("several_labels", "annotations/train.json", "image 3")]
    assert [image.labels for image in annotations.images] == [("good",), ("crack",)]
    found = read_folder(tmp_path, objects(), classes_known=False)
    assert found.label_sets == {"class": {"crack": 1, "good": 2}}


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_run_lengths_are_those_of_pycocotools(seed, share):
    mask = (np.random.default_rng(seed).random((17, 23)) < share).astype(np.uint8)
    encoded = compressed(mask)
    assert decompressed(encoded["counts"]) == uncompressed(mask)["counts"]
    assert run_lengths(encoded) == encoded
    assert np.array_equal(rasterize(run_lengths(uncompressed(mask)), 17, 23), mask)


@given(text=st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=12))
def test_no_text_reaches_pycocotools_unless_it_fills_the_mask(text):
    try:
        encoded = run_lengths({"size": [3, 5], "counts": text})
    except ValueError:
        return
    assert sum(decompressed(encoded["counts"])) == 15
    assert rasterize(encoded, 3, 5).shape == (3, 5)


def test_a_mask_of_an_enormous_size_is_a_fault(tmp_path):
    side = 2**31 - 1
    coco(tmp_path, annotations=[{"segmentation": {"size": [side, side], "counts": [side * side]}}])
    assert places(read_folder(tmp_path, objects())) == [("broken_row", "annotations/train.json", "annotation 1")]


def test_ids_may_be_written_as_whole_floats(tmp_path):
    coco(
        tmp_path,
        images=(),
        categories=[{"id": 1.0, "name": "car"}],
    )
    document = json.loads((tmp_path / "annotations/train.json").read_text())
    document["images"] = [{"id": 1.0, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]
    document["annotations"] = [{"id": 2.0, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}]
    (tmp_path / "annotations/train.json").write_text(json.dumps(document))
    write_image(tmp_path / "images" / "a.jpg")
    annotations = read_folder(tmp_path, objects())
    assert places(annotations) == [("broken_row", "annotations/train.json", "images[1]")]
    assert [one.label for image in annotations.images for one in image.instances] == ["car"]


def test_the_usual_folder_decides_between_images_of_one_name(tmp_path):
    coco(tmp_path, images=("a.jpg", "sub/a.jpg"))
    assert [image.image for image in read_folder(tmp_path, objects()).images] == ["images/a.jpg", "images/sub/a.jpg"]
