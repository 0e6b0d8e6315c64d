"""Generated splits with detections, with everything that an evaluator may stumble over, and pycocotools as oracle."""

from __future__ import annotations

import contextlib
import copy
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.data.keypoint_detections import KeypointDetections

IOU_TYPES = {"box": "bbox", "mask": "segm", "keypoint": "keypoints"}


@dataclass(frozen=True)
class Plan:
    """What a generated set is like; the default is plain."""

    images: int = 8
    objects: int = 6
    classes: int = 3
    doubles: float = 0.5  # share of objects that are detected twice
    found: float = 0.8
    false: int = 2
    crowds: float = 0.0
    ties: bool = False  # scores and boxes
    huge_ids: bool = False
    overflow: bool = False  # more detections of a class than count
    empty_masks: bool = False
    degenerate: bool = False  # boxes without extent or turned around, areas of 0 and beyond all ranges
    lost_class: bool = False  # one class has no truth, another no detections
    keypoints: int = 4
    unlabelled: float = 0.15


PLANS = {
    "plain": Plan(),
    "no detections": Plan(found=0, false=0),
    "no truth": Plan(objects=0),
    "nothing": Plan(objects=0, false=0),
    "one image": Plan(images=1),
    "crowds": Plan(crowds=0.4),
    "only crowds": Plan(crowds=1.0, unlabelled=1.0),
    "ties": Plan(ties=True, doubles=0.9, found=1.0, crowds=0.2),
    "huge unsorted ids": Plan(huge_ids=True, ties=True),
    "overflow": Plan(images=3, overflow=True, ties=True),
    "empty masks": Plan(empty_masks=True),
    "degenerate": Plan(degenerate=True, crowds=0.1),
    "class missing": Plan(lost_class=True),
    "many classes": Plan(classes=12, objects=4),
    "one keypoint": Plan(keypoints=1, unlabelled=0.3),
    "many keypoints": Plan(keypoints=23, unlabelled=0.3, ties=True),
    "everything": Plan(
        crowds=0.2, ties=True, huge_ids=True, empty_masks=True, lost_class=True, overflow=True, images=4, keypoints=9
    ),
}


def generated(seed: int, plan: Plan, *, keypoints: bool = False) -> tuple[CocoDocument, list[Detections], list[float]]:
    """One split, detections, and the sigmas of the keypoints."""
    rng = np.random.default_rng(seed)
    classes = ids_of(rng, plan.classes, huge=plan.huge_ids, most=10**6)
    image_ids = ids_of(rng, plan.images, huge=plan.huge_ids, most=2**62 if seed % 2 else 2**40)
    sigmas = rng.choice([0.005, 0.03, 0.107, 0.4, 1.5], plan.keypoints).tolist()
    truth: Any = {"images": [], "annotations": [], "categories": categories(classes, sigmas, keypoints=keypoints)}
    found = []
    for image_id in image_ids:
        width, height = (int(side) for side in rng.integers(20, 300, 2))
        image = {"id": image_id, "file_name": f"{image_id}.png", "width": width, "height": height}
        truth["images"].append({**image, "sha256": "", "group": ""})
        true = [objects(rng, plan, classes, width, height) for _ in range(rng.integers(0, plan.objects + 1))]
        if plan.lost_class:
            true = [one for one in true if one["category_id"] != classes[0]]
        truth["annotations"] += [{**one, "image_id": image_id} for one in true]
        if rng.random() < 0.9:
            found.append(detections(rng, plan, classes, truth["images"][-1], true))
    for annotation, id_ in zip(
        truth["annotations"], ids_of(rng, len(truth["annotations"]), huge=plan.huge_ids, most=2**62), strict=True
    ):
        annotation["id"] = id_
    order = rng.permutation(len(found))
    chosen = [found[index] for index in order]
    return truth, chosen if keypoints else [plain(one) for one in chosen], sigmas


def ids_of(rng: np.random.Generator, count: int, *, huge: bool, most: int) -> list[int]:
    ids = range(1, count + 1) if not huge else {int(one) for one in rng.integers(1, most, 2 * count + 9)}
    return list(ids)[:count]


def categories(ids: list[int], sigmas: list[float], *, keypoints: bool) -> list[dict[str, Any]]:
    names = [f"k{index}" for index in range(len(sigmas))]
    more = {"keypoints": names, "skeleton": [], "flip_pairs": [], "sigmas": sigmas, "uniform_sigmas": False}
    return [{"id": id_, "name": f"class {id_}", "supercategory": "", **(more if keypoints else {})} for id_ in ids]


def objects(rng: np.random.Generator, plan: Plan, classes: list[int], width: int, height: int) -> dict[str, Any]:
    sides = rng.uniform(1, [width, height])
    corner = rng.uniform(0, [width, height] - sides)
    if plan.ties:
        corner, sides = np.floor(corner), np.ceil(sides)
    outline = ellipse(corner, sides)
    encoded = encoding(outline, height, width)
    points = corner + rng.random((plan.keypoints, 2)) * sides
    visible = rng.integers(0, 3, plan.keypoints) * (rng.random() >= plan.unlabelled)
    crowd = int(rng.random() < plan.crowds)
    return {
        "id": 0,
        "category_id": int(rng.choice(classes)),
        "bbox": [*corner.tolist(), *sides.tolist()],
        "area": float(rng.choice([0.0, 1e-9, 1024.0, 9216.0, 2e10]))
        if plan.degenerate
        else float(coco_mask.area(encoded)),
        "segmentation": encoded if crowd or rng.random() < 0.3 else [outline],
        "iscrowd": crowd,
        "keypoints": np.column_stack([points * (visible > 0)[:, None], visible]).ravel().tolist(),
        "num_keypoints": int((visible > 0).sum()),
    }


def detections(
    rng: np.random.Generator, plan: Plan, classes: list[int], image: dict[str, Any], true: list[dict[str, Any]]
) -> KeypointDetections:
    width, height = image["width"], image["height"]
    rows: list[tuple[int, Any, Any]] = []
    for one in true:
        points = np.array(one["keypoints"]).reshape(-1, 3)[:, :2]
        for _ in range(int(rng.random() < plan.found) * (1 + int(rng.random() < plan.doubles))):
            shift = 0.0 if plan.ties and rng.random() < 0.5 else rng.normal(0, 0.06, 4) * max(one["bbox"][2:])
            category = one["category_id"] if rng.random() < 0.85 else int(rng.choice(classes))
            rows.append((category, np.array(one["bbox"]) + shift, points + rng.normal(0, 2, points.shape)))
    extra = int(rng.integers(0, plan.false + 1)) + (130 if plan.overflow else 0)
    for _ in range(extra):
        box = np.array(objects(rng, plan, classes[:1] if plan.overflow else classes, width, height)["bbox"])
        rows.append((classes[0], box, rng.uniform(0, 100, (plan.keypoints, 2))))
    if plan.lost_class:
        rows = [row for row in rows if row[0] != classes[-1]]
    scores = rng.random(len(rows))
    scores = np.round(scores, 1) if plan.ties else scores
    order = np.argsort(-scores, kind="stable")
    boxes = np.array([row[1] for row in rows], float).reshape(-1, 4)[order]
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 0.5)
    masks = [encoding(ellipse(box[:2], box[2:]), height, width) for box in boxes]
    if plan.degenerate:
        boxes[:, 2:] *= rng.choice([-1.0, 0.0, 1.0, 1e6], (len(boxes), 2), p=[0.1, 0.1, 0.7, 0.1])
    if plan.empty_masks:
        empty = as_text(coco_mask.encode(np.zeros((height, width), np.uint8, order="F")))
        masks = [empty if rng.random() < 0.3 else mask for mask in masks]
    points = np.array([row[2] for row in rows], float).reshape(len(rows), plan.keypoints, 2)[order]
    return KeypointDetections(
        image_id=image["id"],
        boxes_xyxy=np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(np.float32),
        scores=scores[order].astype(np.float32),
        category_ids=np.array([row[0] for row in rows], np.int64)[order],
        masks=masks,
        keypoints=np.concatenate([points, np.ones((len(rows), plan.keypoints, 1))], axis=2).astype(np.float32),
    )


def plain(found: KeypointDetections) -> Detections:
    return Detections(found.image_id, found.boxes_xyxy, found.scores, found.category_ids, found.masks)


def ellipse(corner: Any, sides: Any) -> list[float]:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    around = np.column_stack([np.cos(angles), np.sin(angles)])
    return (np.asarray(corner) + np.asarray(sides) / 2 * (1 + around)).ravel().tolist()


def encoding(outline: list[float], height: int, width: int) -> Any:
    return as_text(coco_mask.merge(coco_mask.frPyObjects([outline], height, width)))


def as_text(encoded: Any) -> Any:
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def reference(truth: CocoDocument, found: list[Detections], kind: str, sigmas: list[float]) -> COCOeval:
    """pycocotools with its own way of reading results, evaluated and accumulated."""
    rows: list[dict[str, Any]] = []
    for one in found:
        for index in range(len(one)):
            row: dict[str, Any] = {"image_id": one.image_id, "category_id": int(one.category_ids[index])}
            if kind == "box":
                x1, y1, x2, y2 = one.boxes_xyxy[index].astype(float).tolist()
                row["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            elif kind == "mask":
                row["segmentation"] = one.masks[index]
            else:
                row["keypoints"] = one.keypoints[index].astype(float).ravel().tolist()
            rows.append({**row, "score": float(one.scores[index])})
    with contextlib.redirect_stdout(io.StringIO()):
        truths, results = COCO(), COCO()
        truths.dataset = {**copy.deepcopy(truth), "info": {}}
        truths.createIndex()
        if rows:
            results = truths.loadRes(rows)
        else:  # loadRes fails without any
            results.dataset = {**truths.dataset, "annotations": []}
            results.createIndex()
        evaluation = COCOeval(truths, results, IOU_TYPES[kind])
        if kind == "keypoint":
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def repeated(truth: CocoDocument, found: list[Detections], counts: np.ndarray) -> tuple[CocoDocument, list[Detections]]:
    """The split with image number i as often as ``counts[i]``, each time with a new id and copies of its objects."""
    of_image = {one.image_id: one for one in found}
    copies: Any = {**truth, "images": [], "annotations": []}
    again: list[Detections] = []
    ids = {}
    for place in np.argsort([image["id"] for image in truth["images"]]):
        image = truth["images"][place]
        for _ in range(int(counts[place])):
            id_ = len(copies["images"]) + 1
            copies["images"].append({**image, "id": id_})
            ids.setdefault(image["id"], []).append(id_)
            if image["id"] in of_image:
                again.append(replace(of_image[image["id"]], image_id=id_))
    for annotation in truth["annotations"]:
        for id_ in ids.get(annotation["image_id"], ()):
            copies["annotations"].append({**annotation, "image_id": id_, "id": len(copies["annotations"]) + 1})
    return copies, again
