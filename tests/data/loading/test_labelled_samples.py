"""Samples with keypoints, and with labels of the whole image."""

import numpy as np
import pytest
from PIL import Image

from sightline.config.augmentation import Flip
from sightline.config.data import Data
from sightline.config.labels import Keypoints
from sightline.config.loading import Loading
from sightline.data.annotations import Instance, LabelledImage
from sightline.data.formats.coco import validate_coco
from sightline.data.label_schema import keypoint_schema, label_sets
from sightline.data.loading.dataset import CocoDataset
from sightline.data.recording.merge import merge
from sightline.errors import DataError

WIDTH, HEIGHT = 80, 40
OUTLINE = [[10.0, 10.0, 50.0, 10.0, 50.0, 30.0, 10.0, 30.0]]
KEYPOINTS = Keypoints(
    names=("nose", "left", "right"), skeleton=(("nose", "left"), ("nose", "right")), flip_pairs=(("left", "right"),)
)
FACES = {"mask": {"classes": ["with", "without"]}, "tags": {"classes": ["sun", "rain"], "multiple": True}}


def labelled(folder, data, *, keypoints=None, labels=()):
    name = folder / "annotations" / "d" / "a.png"
    name.parent.mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 150)).save(name)
    instances = () if keypoints is None else (Instance("person", OUTLINE, (10, 10, 40, 20), 800.0, keypoints),)
    image = LabelledImage("a.json", "a.png", None, WIDTH, HEIGHT, 100, "0" * 64, 0, "g", (), instances, labels=labels)
    return merge([image], ["train"], data, "d")["train"]


def dataset(document, folder, *changes, image_size=WIDTH):
    return CocoDataset(
        document, folder, image_size=image_size, max_pixels=10**6, augmentation=changes, seed=1, loading=Loading()
    )


@pytest.fixture
def persons(tmp_path):
    data = Data(repository="-", classes=("person",), keypoints=KEYPOINTS)
    return labelled(tmp_path, data, keypoints=((20.0, 12.0, 2), (15.0, 20.0, 2), (45.0, 20.0, 1)))


@pytest.fixture
def faces(tmp_path):
    data = Data(repository="-", label_sets=FACES)
    return labelled(tmp_path, data, labels=("mask/without", "tags/sun", "tags/rain"))


def test_the_document_has_the_keypoints_as_coco_has_them(persons):
    (category,), (annotation,) = persons["categories"], persons["annotations"]
    assert category["skeleton"] == [[1, 2], [1, 3]]
    assert annotation["keypoints"] == [20.0, 12.0, 2, 15.0, 20.0, 2, 45.0, 20.0, 1]
    assert annotation["num_keypoints"] == 3
    schema = keypoint_schema(persons)
    assert (schema.names, schema.skeleton, schema.flip_pairs) == (KEYPOINTS.names, ((0, 1), (0, 2)), ((1, 2),))
    assert schema.uniform_sigmas


def test_keypoints_are_scaled_with_the_image(persons, tmp_path):
    sample = dataset(persons, tmp_path, image_size=WIDTH // 2).sample(0, 0)
    assert sample.keypoints.tolist() == [[[10, 6, 2], [7.5, 10, 2], [22.5, 10, 1]]]
    assert sample.image_labels is None


def test_a_mirrored_image_swaps_the_pairs_of_the_dataset(persons, tmp_path):
    sample = dataset(persons, tmp_path, Flip(probability=1.0)).sample(0, 0)
    assert sample.keypoints.tolist() == [[[60, 12, 2], [35, 20, 1], [65, 20, 2]]]


def test_an_image_without_objects_has_no_keypoints_of_the_right_shape(persons, tmp_path):
    sample = dataset({**persons, "annotations": []}, tmp_path).sample(0, 0)
    assert sample.keypoints.shape == (0, 3, 3)


def test_image_labels_are_shares_of_the_categories(faces, tmp_path):
    sample = dataset(faces, tmp_path).sample(0, 0)
    assert sample.image_labels.tolist() == [0, 1, 1, 1]
    assert sample.image_labels.dtype == np.float32
    mask, tags = label_sets(faces)
    assert (mask.name, mask.classes, mask.category_ids, mask.multiple) == ("mask", ("with", "without"), (1, 2), False)
    assert (tags.classes, tags.multiple) == (("sun", "rain"), True)


def test_a_mirrored_image_swaps_the_labels_that_become_each_other(faces, tmp_path):
    flip = Flip(probability=1.0, swap={"mask/with": "mask/without"})
    assert dataset(faces, tmp_path, flip).sample(0, 0).image_labels.tolist() == [1, 0, 1, 1]


def test_classes_of_images_are_sampled_by_weight(faces, tmp_path):
    assert dataset(faces, tmp_path).order(1, 0).length == 1


@pytest.mark.parametrize("labels", [[], [1, 2], [1, 9]], ids=["none of a set", "two of a set", "unknown"])
def test_labels_that_contradict_the_label_sets_are_refused(faces, labels):
    faces["images"][0]["labels"] = labels
    with pytest.raises(DataError):
        validate_coco(faces, "train.json")


@pytest.mark.parametrize("keypoints", [[1.0, 2.0, 2], [0.0, 0.0, 3] * 3, [float("nan"), 0.0, 2] * 3])
def test_keypoints_that_do_not_fit_the_category_are_refused(persons, keypoints):
    persons["annotations"][0]["keypoints"] = keypoints
    with pytest.raises(DataError, match="annotation 1"):
        validate_coco(persons, "train.json")
