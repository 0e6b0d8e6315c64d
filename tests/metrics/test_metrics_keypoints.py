"""Metrics of keypoints are those of pycocotools, with the dataset's own sigmas."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sightline.data.keypoint_detections import KeypointDetections
from sightline.errors import DataError
from sightline.metrics.keypoints import evaluate_keypoints

SIGMAS = (0.03, 0.08, 0.1, 0.06)
CATEGORIES = [
    {
        "id": number,
        "name": name,
        "supercategory": "",
        "keypoints": ["nose", "left", "right", "tail"],
        "skeleton": [[1, 2]],
        "flip_pairs": [[2, 3]],
        "sigmas": list(SIGMAS),
        "uniform_sigmas": False,
    }
    for number, name in enumerate(("cat", "dog"), start=1)
]


def generated(seed, images=30):
    """Truth and detections: images without either, hidden and absent keypoints, objects without labeled keypoints."""
    rng = np.random.default_rng(seed)
    truth = {"images": [], "annotations": [], "categories": CATEGORIES}
    found = []
    for image_id in range(1, images + 1):
        size = {"file_name": f"{image_id}.png", "width": 200, "height": 150, "sha256": "", "group": ""}
        truth["images"].append({"id": image_id, **size})
        points, ids = [], []
        for _ in range(int(rng.integers(0, 4)) * (image_id % 5 > 0)):
            low, sides = rng.uniform(0, 80, 2), rng.uniform(20, 60, 2)
            visibility = rng.integers(0, 3, 4) * (rng.random() > 0.15)
            places = (low + rng.random((4, 2)) * sides) * (visibility > 0)[:, None]
            ids.append(int(rng.integers(1, 3)))
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image_id,
                    "category_id": ids[-1],
                    "bbox": [*low.tolist(), *sides.tolist()],
                    "area": float(np.prod(sides) * 0.7),
                    "segmentation": [],
                    "iscrowd": 0,
                    "keypoints": np.column_stack([places, visibility]).ravel().tolist(),
                    "num_keypoints": int((visibility > 0).sum()),
                }
            )
            points.append(places + rng.normal(0, 3, (4, 2)))
        for _ in range(int(rng.integers(0, 24))):
            points.append(rng.uniform(0, 120, (4, 2)))
            ids.append(int(rng.integers(1, 3)))
        kept = rng.permutation(len(points))[: int(len(points) * 0.9)] * (image_id % 7 > 0)
        kept = np.unique(kept) if image_id % 7 else kept[:0]
        scores = np.sort(rng.random(len(kept)))[::-1]
        places = np.array(points, np.float32).reshape(-1, 4, 2)[kept]
        low, high = places.min(axis=1), places.max(axis=1) + 1
        found.append(
            KeypointDetections(
                image_id=image_id,
                boxes_xyxy=np.concatenate([low, high], axis=1).astype(np.float32),
                scores=scores.astype(np.float32),
                category_ids=np.array(ids, np.int64)[kept],
                keypoints=np.concatenate([places, np.ones((len(kept), 4, 1))], axis=2).astype(np.float32),
            )
        )
    return truth, found


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_pycocotools(seed):
    truth, found = generated(seed)
    rows = [
        {
            "image_id": one.image_id,
            "category_id": int(id_),
            "score": float(score),
            "keypoints": points.astype(float).ravel().tolist(),
        }
        for one in found
        for id_, score, points in zip(one.category_ids, one.scores, one.keypoints, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        oracle = COCO()
        oracle.dataset = json.loads(json.dumps(truth))
        oracle.createIndex()
        evaluator = COCOeval(oracle, oracle.loadRes(rows), "keypoints")
        evaluator.params.kpt_oks_sigmas = np.array(SIGMAS)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    values = evaluate_keypoints(truth, found).values
    parts = ("", "50", "75", "_medium", "_large")
    names = [f"keypoint_{metric}{part}" for metric in ("AP", "AR") for part in parts]
    expected = {name: value for name, value in zip(names, evaluator.stats, strict=True) if value > -1}
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert 0.05 < values["keypoint_AP"] < values["keypoint_AP50"] < 1


def one_object(moved, *, visibility=(2, 1, 0, 2)):
    """A square of 30 x 40 pixels, diagonal 50, with keypoints at its corners; one detection, moved to the right."""
    corners = np.array([[10, 10], [40, 10], [10, 50], [40, 50]], float)
    truth, _ = generated(0, images=1)
    labelled = np.column_stack([corners, visibility]) * (np.array(visibility) > 0)[:, None]
    truth["annotations"] = [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": [10, 10, 30, 40],
            "area": 900.0,
            "segmentation": [],
            "iscrowd": 0,
            "keypoints": labelled.ravel().tolist(),
            "num_keypoints": int((np.array(visibility) > 0).sum()),
        }
    ]
    places = corners + np.column_stack([moved, np.zeros(4)])
    found = KeypointDetections(
        image_id=1,
        boxes_xyxy=np.array([[10, 10, 40, 50]], np.float32),
        scores=np.array([0.7], np.float32),
        category_ids=np.array([1]),
        keypoints=np.column_stack([places, np.ones(4)])[None].astype(np.float32),
    )
    return truth, [found]


def test_pck_and_errors_follow_their_definition():
    """A fifth of the diagonal is 10 pixels; the absent keypoint counts nowhere, the hidden one as the others."""
    scores = evaluate_keypoints(*one_object([0, 9.9, 500, 10.1]))
    assert scores.values["keypoint_PCK"] == pytest.approx(2 / 3)
    assert {name: (one.count, one.pck) for name, one in scores.keypoints.items()} == {
        "nose": (1, 1.0),
        "left": (1, 1.0),
        "right": (0, 0.0),
        "tail": (1, 0.0),
    }
    assert scores.keypoints["left"].pixels == pytest.approx(9.9, abs=1e-4)
    assert scores.keypoints["left"].relative == pytest.approx(9.9 / 30, abs=1e-4)
    assert np.isnan(scores.keypoints["right"].pixels)


def test_an_object_without_a_detection_has_no_keypoints_found():
    truth, (found,) = one_object([0, 0, 0, 0])
    scores = evaluate_keypoints(truth, [found.above(0.9)])
    assert scores.values["keypoint_PCK"] == 0
    assert scores.values["keypoint_AP"] == 0
    assert scores.keypoints["nose"].found == 0


def test_without_labelled_keypoints_nothing_is_measured():
    truth, found = one_object([0, 0, 0, 0], visibility=(0, 0, 0, 0))
    assert evaluate_keypoints(truth, found).values == {}


def test_other_keypoints_than_those_of_the_dataset_are_refused():
    truth, (found,) = one_object([0, 0, 0, 0])
    fewer = KeypointDetections.from_json(
        found.to_json() | {"keypoints": found.keypoints[:, :3].tolist(), "keypoint_count": 3}
    )
    with pytest.raises(DataError) as caught:
        evaluate_keypoints(truth, [fewer])
    assert "image 1" in str(caught.value)
    assert "nose, left, right, tail" in str(caught.value)
    plain, found = one_object([0, 0, 0, 0])
    plain["categories"] = [{"id": 1, "name": "cat"}]
    with pytest.raises(DataError):
        evaluate_keypoints(plain, found)
