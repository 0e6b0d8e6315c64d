"""COCO's metrics of 5,000 generated images against pycocotools, in one run and with equal arrays."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from benchmarks.figures import Figure, show
from sightline.data.formats.coco import CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.metrics.coco_evaluator import EvaluatorName, Kind, coco_arrays
from sightline.metrics.error_breakdown import error_breakdown
from sightline.metrics.matches import average_precision_statistics, match_detections

IMAGES, OBJECTS, CLASSES, WIDTH, HEIGHT = 5000, 7, 20, 640, 480
SIGMAS = (np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000).tolist()
RUNS = 3
TARGETS: dict[Kind, float] = {"box": 60, "mask": 15, "keypoint": 20}
NAMES: dict[Kind, str] = {"box": "boxes", "mask": "masks", "keypoint": "keypoints"}


def generated(images: int = IMAGES) -> tuple[CocoDocument, list[KeypointDetections]]:
    """A split and its detections: 85 % of the objects are found once, most others twice, with errors of all kinds."""
    rng = np.random.default_rng(0)
    names = [f"keypoint {index}" for index in range(len(SIGMAS))]
    truth: Any = {
        "images": [
            {"id": id_, "file_name": f"{id_}.png", "width": WIDTH, "height": HEIGHT, "sha256": "", "group": ""}
            for id_ in range(1, images + 1)
        ],
        "annotations": [],
        "categories": [
            {"id": id_, "name": f"class {id_}", "keypoints": names, "sigmas": SIGMAS} for id_ in range(1, CLASSES + 1)
        ],
    }
    found = []
    for id_ in range(1, images + 1):
        sides = rng.uniform(12, 220, (OBJECTS, 2))
        boxes = np.concatenate([rng.random((OBJECTS, 2)) * ([WIDTH, HEIGHT] - sides), sides], axis=1)
        classes = rng.integers(1, CLASSES + 1, OBJECTS)
        points = boxes[:, None, :2] + rng.random((OBJECTS, len(SIGMAS), 2)) * boxes[:, None, 2:]
        for annotation in annotations(rng, boxes, classes, points):
            truth["annotations"].append({**annotation, "id": len(truth["annotations"]) + 1, "image_id": id_})
        found.append(detections(rng, id_, boxes, classes, points))
    return truth, found


def annotations(rng: np.random.Generator, boxes: Any, classes: Any, points: Any) -> Iterator[dict[str, Any]]:
    visible = rng.integers(0, 3, points.shape[:2])
    for index, (box, class_) in enumerate(zip(boxes, classes, strict=True)):
        labelled = np.column_stack([points[index] * (visible[index] > 0)[:, None], visible[index]])
        yield {
            "category_id": int(class_),
            "bbox": box.tolist(),
            "area": float(box[2] * box[3] * np.pi / 4),
            "segmentation": [outline(box)],
            "iscrowd": 0,
            "keypoints": labelled.ravel().tolist(),
            "num_keypoints": int((visible[index] > 0).sum()),
        }


def detections(rng: np.random.Generator, image_id: int, boxes: Any, classes: Any, points: Any) -> KeypointDetections:
    chosen = np.repeat(np.arange(OBJECTS), rng.choice([0, 1, 2, 3], OBJECTS, p=[0.1, 0.4, 0.4, 0.1]))
    moved = boxes[chosen] + rng.normal(0, 0.06, (len(chosen), 4)) * boxes[chosen][:, [2, 3, 2, 3]]
    moved[:, 2:] = np.maximum(moved[:, 2:], 4)
    labels = np.where(rng.random(len(chosen)) < 0.85, classes[chosen], rng.integers(1, CLASSES + 1, len(chosen)))
    places = points[chosen] + rng.normal(0, 4, points[chosen].shape)
    return KeypointDetections(
        image_id=image_id,
        boxes_xyxy=np.concatenate([moved[:, :2], moved[:, :2] + moved[:, 2:]], axis=1).astype(np.float32),
        scores=np.sort(rng.random(len(chosen)))[::-1].astype(np.float32),
        category_ids=labels.astype(np.int64),
        masks=[encoded(box) for box in moved],
        keypoints=np.concatenate([places, np.ones((*places.shape[:2], 1))], axis=2).astype(np.float32),
    )


def outline(box: Any) -> list[float]:
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    around = np.column_stack([np.cos(angles), np.sin(angles)])
    points: list[float] = (box[:2] + box[2:] / 2 * (1 + around)).ravel().tolist()
    return points


def encoded(box: Any) -> Any:
    (runs,) = coco_mask.frPyObjects([outline(box)], HEIGHT, WIDTH)
    return {"size": [HEIGHT, WIDTH], "counts": runs["counts"].decode("ascii")}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def against_pycocotools(truth: CocoDocument, found: list[KeypointDetections], kind: Kind) -> Figure:
    """The best of some runs of hotcoco and one of pycocotools, whose arrays must be equal."""

    def arrays(evaluator: EvaluatorName) -> Any:
        return coco_arrays(truth, found, kind, SIGMAS, evaluator)

    fast, ours = min((timed(lambda: arrays("hotcoco")) for _ in range(RUNS)), key=lambda run: run[0])
    slow, reference = timed(lambda: arrays("pycocotools"))
    equal = all(np.array_equal(getattr(ours, name), getattr(reference, name)) for name in ours.__slots__)
    return Figure(
        f"COCO arrays of {NAMES[kind]}, {len(found):,} images",
        f"{fast:.2f} s, {'equal' if equal else 'NOT EQUAL'}",
        f"pycocotools {slow:.1f} s",
        slow / fast,
        f">= {TARGETS[kind]:g} x, equal",
        equal and slow / fast >= TARGETS[kind],
    )


def single_matches(truth: CocoDocument, found: list[KeypointDetections], kind: Kind) -> list[Figure]:
    """What needs single matches: statistics for intervals, and the breakdown of errors."""
    once = np.ones((1, len(found)))
    matching, matches = timed(lambda: match_detections(truth, found, kind, SIGMAS))
    statistic = average_precision_statistics([matches])[0][f"{kind}_AP"]
    resample, _ = timed(lambda: statistic.values(once))
    figures = [
        Figure(f"matches of {NAMES[kind]}, 10 overlaps", f"{matching:.2f} s"),
        Figure(f"one resample of {kind}_AP", f"{resample * 1000:.1f} ms"),
    ]
    if kind != "keypoint":
        seconds, _ = timed(lambda: error_breakdown(matches))
        figures.append(Figure(f"error breakdown of {NAMES[kind]}", f"{seconds:.2f} s"))
    return figures


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    truth, found = generated()
    size = f"{len(truth['annotations']):,} objects, {sum(map(len, found)):,} detections"
    figures = [figure for kind in NAMES for figure in single_matches(truth, found, kind)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures.append(Figure(f"peak memory, {size}", f"{peak:.2f} GiB", target="< 2 GiB", met=peak < 2))
    return [*(against_pycocotools(truth, found, kind) for kind in NAMES), *figures]


if __name__ == "__main__":
    show("Evaluation", measure())
