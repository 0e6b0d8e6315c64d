"""Suspected label errors: every kind, planted among right labels; and what is no error."""

import dataclasses

import numpy as np
import pytest

from sightline.data.detections import Detections
from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.rasterizer import encode_outline
from sightline.errors import DataError
from sightline.metrics.label_errors import detector_suspects
from sightline.tasks.keypoints.label_errors import keypoint_suspects

WIDTH, HEIGHT = 200, 160
CATS, DOGS = 1, 2


def outline(box):
    x, y, width, height = box
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


class Split:
    """A split that grows object by object; the model sees what is there, almost exactly."""

    def __init__(self, seed=0, *, masks=False):
        self.random, self.masks = np.random.default_rng(seed), masks
        self.images, self.annotations, self.found = [], [], {}

    def image(self):
        number = len(self.images) + 1
        self.images.append(
            {"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT, "sha256": "", "group": ""}
        )
        self.found[number] = []
        return number

    def label(self, image, category, box):
        number = len(self.annotations) + 1
        entry = {"id": number, "image_id": image, "category_id": category, "bbox": [float(value) for value in box]}
        entry |= {"area": float(box[2] * box[3]), "iscrowd": 0, "segmentation": outline(box)}
        self.annotations.append(entry)
        return number

    def see(self, image, category, box, score):
        self.found[image].append((score, category, box))

    def usual(self, objects=40):
        """Objects that are labeled right and seen with scores around 0.8, two in an image."""
        for _ in range(objects // 2):
            image = self.image()
            for left in (10, 110):
                category = int(self.random.integers(1, 3))
                box = (left + self.random.uniform(0, 8), 20 + self.random.uniform(0, 40), 50.0, 60.0)
                self.label(image, category, box)
                seen = (box[0] + self.random.uniform(-1, 1), box[1] + self.random.uniform(-1, 1), 50.0, 60.0)
                self.see(image, category, seen, self.random.uniform(0.7, 0.9))
                self.see(image, 3 - category, seen, self.random.uniform(0.05, 0.15))

    @property
    def truth(self):
        categories = [{"id": CATS, "name": "cat"}, {"id": DOGS, "name": "dog"}]
        return {"images": self.images, "annotations": self.annotations, "categories": categories}

    @property
    def detections(self):
        entries = []
        for image, found in self.found.items():
            ranked = sorted(found, key=lambda one: -one[0])
            boxes = np.array([box for _, _, box in ranked], np.float32).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            masks = [encode_outline(outline(box), HEIGHT, WIDTH) for _, _, box in ranked] if self.masks else None
            scores = np.array([score for score, _, _ in ranked], np.float32)
            ids = np.array([category for _, category, _ in ranked], np.int64)
            entries.append(Detections(image, boxes, scores, ids, masks))
        return entries

    def suspects(self):
        return detector_suspects(self.truth, self.detections, masks=self.masks)


def test_right_labels_are_not_suspected():
    split = Split()
    split.usual()
    assert split.suspects() == []


@pytest.mark.parametrize("masks", [False, True])
def test_every_kind_of_error_is_found_and_nothing_else(masks):
    split = Split(masks=masks)
    split.usual(60)
    image = split.image()
    wrong = split.label(image, CATS, (10, 20, 50, 60))
    split.see(image, DOGS, (10, 20, 50, 60), 0.9)
    split.see(image, CATS, (10, 20, 50, 60), 0.1)
    split.see(image, DOGS, (110, 20, 50, 60), 0.95)  # nothing is labeled there
    image = split.image()
    loose = split.label(image, CATS, (10, 20, 70, 85))
    split.see(image, CATS, (20, 30, 50, 60), 0.9)
    far = split.label(image, DOGS, (110, 20, 80, 120))
    split.see(image, DOGS, (112, 22, 40, 50), 0.9)  # an IoU of 0.2: the outline is far too large
    image = split.image()
    first = split.label(image, DOGS, (10, 20, 50, 60))
    second = split.label(image, DOGS, (12, 21, 50, 60))
    split.see(image, DOGS, (10, 20, 50, 60), 0.9)
    spurious = split.label(image, CATS, (110, 20, 50, 60))
    split.see(image, CATS, (10, 110, 30, 30), 0.03)
    found = split.suspects()
    doubted = {(one.kind, one.annotation_id) for one in found}
    assert doubted == {
        ("wrong class", wrong),
        ("missing", None),
        ("loose outline", loose),
        ("loose outline", far),
        ("duplicate", second),
        ("spurious", spurious),
    }
    assert first not in {one.annotation_id for one in found}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    by_kind = {one.kind: one for one in found if one.annotation_id != far}
    assert by_kind["wrong class"].score == pytest.approx(0.9 * 0.9, abs=1e-6)
    assert (by_kind["wrong class"].category_id, by_kind["wrong class"].suggested_id) == (CATS, DOGS)
    assert by_kind["missing"].suggested_id == DOGS
    assert by_kind["missing"].object.box_xyxy == (110, 20, 160, 80)
    assert by_kind["missing"].object.mask == (
        encode_outline(outline((110, 20, 50, 60)), HEIGHT, WIDTH) if masks else None
    )
    assert by_kind["spurious"].suggested_id is None
    assert by_kind["duplicate"].object is None


def test_an_object_inside_another_one_is_no_error():
    split = Split()
    split.usual()
    image = split.image()
    for category, box, score in ((CATS, (10, 10, 100, 100), 0.8), (DOGS, (15, 15, 80, 85), 0.9)):  # an IoU of 0.68
        split.label(image, category, box)
        split.see(image, category, box, score)
    assert split.suspects() == []


def test_two_detected_objects_on_one_place_are_no_duplicate():
    split = Split()
    split.usual()
    image = split.image()
    for box in ((10, 20, 50, 60), (13, 22, 50, 60)):
        split.label(image, DOGS, box)
        split.see(image, DOGS, box, 0.85)
    assert split.suspects() == []


@pytest.mark.parametrize(("spread", "kinds"), [(1, ["loose outline"]), (16, [])])
def test_an_outline_is_loose_compared_with_others_of_its_class(spread, kinds):
    split = Split()
    for number in range(40):
        image = split.image()
        split.label(image, CATS, (10, 20, 60, 60))
        split.see(image, CATS, (10, 20, 60 - number % 5 * spread / 4, 60 - number % 3 * spread / 2), 0.8)
    image = split.image()
    split.label(image, CATS, (10, 20, 60, 60))
    split.see(image, CATS, (10, 20, 45, 48), 0.9)  # an IoU of 0.6
    assert [one.kind for one in split.suspects()] == kinds


def test_an_object_is_suspected_of_one_error_only():
    split = Split()
    split.usual()
    image = split.image()
    first = split.label(image, DOGS, (10, 20, 50, 60))
    second = split.label(image, DOGS, (12, 21, 50, 60))
    found = {(one.kind, one.annotation_id) for one in split.suspects()}
    assert found == {("spurious", first), ("duplicate", second)}


def test_a_class_that_the_model_never_finds_has_no_spurious_objects():
    split = Split()
    split.usual()
    for number in range(len(split.found)):
        split.found[number + 1] = [one for one in split.found[number + 1] if one[1] != DOGS]
    assert [one for one in split.suspects() if one.kind == "spurious" and one.category_id == DOGS] == []


def test_an_unsure_detection_contradicts_nothing():
    split = Split()
    split.usual()
    image = split.image()
    split.label(image, CATS, (10, 20, 50, 60))
    split.see(image, DOGS, (10, 20, 50, 60), 0.5)  # dogs are seen with 0.8 elsewhere
    split.see(image, CATS, (10, 20, 50, 60), 0.4)
    assert split.suspects() == []


def test_without_labels_everything_is_missing_and_overlapping_classes_count_once():
    split = Split()
    image = split.image()
    split.see(image, CATS, (10, 20, 50, 60), 0.9)
    split.see(image, DOGS, (11, 20, 50, 60), 0.7)
    split.see(image, DOGS, (110, 20, 50, 60), 0.6)
    split.see(image, DOGS, (110, 90, 50, 60), 0.2)
    assert [(one.kind, one.suggested_id) for one in split.suspects()] == [("missing", CATS), ("missing", DOGS)]


def test_no_detections_and_no_images():
    split = Split()
    split.usual()
    for found in split.found.values():
        found.clear()
    assert split.suspects() == []
    assert detector_suspects(split.truth, []) == []
    assert detector_suspects(split.truth | {"images": [], "annotations": []}, []) == []


@pytest.mark.parametrize("score", [np.nan, 1.5, -0.1])
def test_scores_that_are_no_probabilities_are_refused(score):
    split = Split()
    split.usual(2)
    (entry,) = split.detections
    broken = dataclasses.replace(entry, scores=np.full(len(entry), score, np.float32))
    with pytest.raises(DataError):
        detector_suspects(split.truth, [broken])


def test_the_result_does_not_depend_on_the_order():
    split = Split()
    split.usual(20)
    for number, annotation in enumerate(split.annotations):
        if number % 5 == 0:
            annotation["category_id"] = 3 - annotation["category_id"]
    found = split.suspects()
    assert len(found) == 4
    truth = split.truth | {"images": split.images[::-1], "annotations": split.annotations[::-1]}
    assert detector_suspects(truth, split.detections[::-1]) == found


# Keypoints: eyes and a nose, in a face of 60 x 60 pixels.

NAMES = ("left_eye", "right_eye", "nose")
FACE = np.array([[15.0, 20.0], [45.0, 20.0], [30.0, 40.0]])


def faces(changes=None, count=12, given=False):
    """Faces; ``changes``: number of the face -> its labeled points, relative to its box."""
    category = {"id": 1, "name": "face", "supercategory": "", "keypoints": list(NAMES), "skeleton": []}
    category |= {"flip_pairs": [[1, 2]], "sigmas": [0.05] * 3, "uniform_sigmas": True}
    images, annotations, found = [], [], []
    random = np.random.default_rng(0)
    for number in range(1, count + 1):
        images.append({"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT})
        images[-1] |= {"sha256": "", "group": ""}
        corner = random.uniform(5, 60, 2)
        labelled = corner + (changes or {}).get(number, FACE)
        points = np.column_stack([labelled, np.full(3, 2.0)]).ravel().tolist()
        entry = {"id": number, "image_id": number, "category_id": 1, "bbox": [*corner.tolist(), 60.0, 60.0]}
        entry |= {"area": 3600.0, "iscrowd": 0, "segmentation": outline((*corner, 60, 60)), "keypoints": points}
        annotations.append(entry | {"num_keypoints": 3})
        seen = corner + FACE + random.normal(0, 0.5, (3, 2))
        box = np.array([[*corner, *(corner + 60)]], np.float32)
        keypoints = np.column_stack([seen, np.full(3, 0.9)])[None].astype(np.float32)
        found.append(
            KeypointDetections(
                number, box, np.array([0.9], np.float32), np.array([1]), keypoints=keypoints, boxes_given=given
            )
        )
    return {"images": images, "annotations": annotations, "categories": [category]}, found


@pytest.mark.parametrize("given", [False, True])
def test_swapped_and_misplaced_keypoints_are_found(given):
    far = FACE.copy()
    far[2] = (30, 58)
    truth, found = faces({3: FACE[[1, 0, 2]], 7: far}, given=given)
    suspects = {(one.image_id, one.kind): one for one in keypoint_suspects(truth, found)}
    assert suspects.keys() == {(3, "swapped keypoints"), (7, "misplaced keypoint")}
    swapped = suspects[3, "swapped keypoints"]
    assert [name for name, _, _ in swapped.object.keypoints] == ["left_eye", "right_eye"]
    x, y, _ = found[2].keypoints[0, 0].tolist()
    assert swapped.object.keypoints[0] == ("left_eye", pytest.approx(x), pytest.approx(y))
    assert [name for name, _, _ in suspects[7, "misplaced keypoint"].object.keypoints] == ["nose"]
    assert all(0.5 < one.score <= 1 for one in suspects.values())


def test_one_misplaced_eye_is_not_swapped():
    moved = FACE.copy()
    moved[0] = (15, 55)
    truth, found = faces({3: moved})
    (suspect,) = keypoint_suspects(truth, found)
    assert suspect.kind == "misplaced keypoint"
    assert [name for name, _, _ in suspect.object.keypoints] == ["left_eye"]


def test_right_and_unlabeled_keypoints_are_not_suspected():
    truth, found = faces()
    assert keypoint_suspects(truth, found) == []
    points = truth["annotations"][0]["keypoints"]
    points[6:9] = [0.0, 0.0, 0]  # the nose is not labeled
    assert keypoint_suspects(truth, found) == []


def test_a_missing_face_brings_its_keypoints():
    truth, found = faces()
    truth["annotations"] = truth["annotations"][1:]
    (suspect,) = keypoint_suspects(truth, found)
    assert (suspect.kind, suspect.image_id) == ("missing", 1)
    assert [name for name, _, _ in suspect.object.keypoints] == list(NAMES)


def test_other_keypoints_than_those_of_the_dataset_are_refused():
    truth, found = faces()
    with pytest.raises(DataError):
        keypoint_suspects(truth, [dataclasses.replace(one, keypoints=one.keypoints[:, :2]) for one in found])
