"""Agreement with labelme's own examples and its COCO conversion of them."""

import itertools
import json
import math
from pathlib import Path

import pytest

from sightline.config.data import Data
from sightline.data.formats.labelme.folder import read_folder
from tests.data.formats.labelme_folders import settings
from tests.real_labelme import REAL_LABELME, needs_real_labelme


@needs_real_labelme
def test_instances_agree_with_labelmes_own_coco_conversion():
    root = REAL_LABELME / "instance_segmentation"
    special = ("__ignore__", "_background_")
    classes = tuple(name for name in (root / "labels.txt").read_text().split("\n") if name and name not in special)
    data = Data(repository="-", classes=classes, ignored_labels=special, jobs=1)
    annotations = read_folder(root / "data_annotated", data)
    reference = json.loads((root / "data_dataset_coco" / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in reference["categories"]}
    compared = 0
    for listed in reference["images"]:
        (image,) = (image for image in annotations.images if Path(image.image).stem == Path(listed["file_name"]).stem)
        theirs = [entry for entry in reference["annotations"] if entry["image_id"] == listed["id"]]
        assert (image.width, image.height) == (listed["width"], listed["height"])
        assert len(image.instances) == len(theirs)
        for mine, their in zip(image.instances, theirs, strict=True):
            assert mine.label == names[their["category_id"]]
            # labelme draws with Pillow, which counts the border in.
            x, y, width, height = their["bbox"]
            assert mine.bbox == pytest.approx((x, y, width - 1, height - 1), abs=1.01)
            border = sum(map(_length, their["segmentation"]))
            assert 0 <= their["area"] - mine.area <= border
            if max(max(part[1::2]) for part in their["segmentation"]) <= image.height:
                assert mine.segmentation == their["segmentation"]
            else:  # one polygon reaches 0.4 pixels below its image, where ours is clipped
                assert mine.label == "chair"
                assert max(mine.segmentation[0][1::2]) == image.height
            compared += 1
    assert compared == len(reference["annotations"]) == 12


def _length(polygon):
    points = list(zip(polygon[::2], polygon[1::2], strict=True))
    return sum(math.dist(a, b) for a, b in itertools.pairwise([*points, points[0]]))


@needs_real_labelme
def test_neighbouring_frames_of_a_video_chain_together():
    images = read_folder(REAL_LABELME / "video_annotation", settings(), classes_known=False).images
    hashes = [image.perceptual_hash for image in images]
    limit = settings().near_duplicate_distance
    assert len(hashes) == 5
    assert all((a ^ b).bit_count() <= limit for a, b in itertools.pairwise(hashes))


@needs_real_labelme
def test_every_primitive_of_labelme_is_read_or_reported():
    annotations = read_folder(REAL_LABELME / "primitives", settings(), classes_known=False)
    labels = [instance.label for instance in annotations.images[0].instances]
    assert labels == ["rectangle", "circle", "rectangle", "polygon", "octagon"]
    assert [fault.label for fault in annotations.faults] == ["line", "point", "line_strip"]
