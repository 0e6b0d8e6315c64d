"""Flags of labelme files in the COCO documents, for slices."""

import json

from sightline.config.data import Data
from sightline.data.formats.coco import coco_bytes, decode_coco
from sightline.data.formats.registry import read_annotations
from sightline.data.recording.merge import merge
from tests.classified import ONE_SET
from tests.classified import write_labelme as write_classified
from tests.squares import CLASSES, write_labelme


def recorded(folder, data):
    images = read_annotations(folder, data).images
    document = merge(images, ["val"] * len(images), data, "shapes")["val"]
    return decode_coco(coco_bytes(document), "val.json")


def test_true_flags_are_kept_and_images_without_any_have_no_field(tmp_path):
    write_labelme(tmp_path, 3)
    paths = sorted(tmp_path.glob("*.json"))
    for path, flags in zip(paths, ({"night": True, "rain": True, "day": False}, {"day": False}, {}), strict=True):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"flags": flags}))
    data = Data(repository="x", tag="shapes_ann_v1", classes=CLASSES)
    images = recorded(tmp_path, data)["images"]
    assert [image.get("flags") for image in images] == [["night", "rain"], None, None]


def test_a_flag_that_is_the_class_of_the_image_is_not_kept_as_a_flag(tmp_path):
    write_classified(tmp_path, 2)
    for path in tmp_path.glob("*.json"):
        document = json.loads(path.read_text())
        document["flags"]["blurry"] = True
        path.write_text(json.dumps(document))
    classes = tuple(ONE_SET["class"][0])
    data = Data(repository="x", tag="shapes_ann_v1", classes=classes, label_sets={"class": {"classes": classes}})
    assert [image["flags"] for image in recorded(tmp_path, data)["images"]] == [["blurry"], ["blurry"]]


def test_an_object_has_the_flags_of_all_its_shapes_but_not_those_of_its_keypoints(tmp_path):
    write_labelme(tmp_path, 1)
    (path,) = tmp_path.glob("*.json")
    document = json.loads(path.read_text())
    (first, *_) = document["shapes"]
    x, y = first["points"][0]
    document["shapes"] = [
        first | {"group_id": 1, "flags": {"truncated": True, "difficult": False}},
        first | {"group_id": 1, "points": [[a + 1, b + 1] for a, b in first["points"]], "flags": {"crowded": True}},
        first | {"points": [[a + 2, b + 2] for a, b in first["points"]], "flags": {}},
        {
            "label": "nose",
            "shape_type": "point",
            "points": [[x + 2, y + 2]],
            "group_id": 1,
            "flags": {"occluded": True},
        },
    ]
    path.write_text(json.dumps(document))
    data = Data(repository="x", tag="shapes_ann_v1", classes=CLASSES, keypoints={"names": ["nose"], "flip_pairs": []})
    annotations = recorded(tmp_path, data)["annotations"]
    assert [one.get("flags") for one in annotations] == [["crowded", "truncated"], None]
