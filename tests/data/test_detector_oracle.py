"""A detector that returns exactly what was drawn has average precision 1, for boxes and for masks.

Shapes -> labelme's JSON -> record's COCO document.  What the detector returns is made from the shapes by the geometry
written out here, its masks by pycocotools; average precision is taken by pycocotools itself and by our own metrics.
"""

import base64
import contextlib
import functools
import io
import json
import math

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sightline.data.detections import Detections
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.recording.merge import merge
from sightline.metrics.coco import evaluate_coco
from sightline.metrics.divided import evaluate_divided
from tests.data.formats.labelme_folders import document, encoded, settings, shape

CLASSES = ("car", "bus")


class Drawn:
    """One object: its shapes as labelme writes them, and what a perfect detector says of it."""

    def __init__(self, label, shapes, box_xyxy, pixels):
        self.label, self.shapes, self.box_xyxy, self.pixels = label, shapes, box_xyxy, pixels


def pixels_of(size, *polygons):
    """uint8 [height, width] of polygons, each a list of points."""
    width, height = size
    flattened = [np.asarray(polygon, float).ravel().tolist() for polygon in polygons]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flattened, height, width)))


def visible(size, *polygons):
    """The box of what of polygons lies in the image: x1, y1, x2, y2; found by walking along the edges."""
    corners = [(x, y) for x in (0, size[0]) for y in (0, size[1])]
    inside = []
    for polygon in polygons:
        points = np.asarray(polygon, float)
        steps = np.linspace(0, 1, 20_000 // len(points) + 2)[:, None, None]
        walked = (points + steps * (np.roll(points, -1, axis=0) - points)).reshape(-1, 2)
        inside.append(walked[((walked >= 0) & (walked <= size)).all(axis=1)])
        inside.append(np.array([corner for corner in corners if winds(points, corner)]).reshape(-1, 2))
    every = np.concatenate(inside)
    return [*every.min(axis=0), *every.max(axis=0)]


def winds(points, corner):
    """Whether a polygon goes around a point, by the sum of the angles it is seen under."""
    from_corner = np.asarray(points, float) - corner
    if (np.abs(from_corner).sum(axis=1) == 0).any():
        return True
    angles = np.arctan2(from_corner[:, 1], from_corner[:, 0])
    turns = (np.diff(angles, append=angles[:1]) + math.pi) % (2 * math.pi) - math.pi
    return abs(turns.sum()) > math.pi


def outlined(label, size, kind, points, polygon=None):
    """A shape with an outline; ``polygon`` is the outline where the points are something else."""
    polygon = points if polygon is None else polygon
    entry = shape(label, points=points, shape_type=kind)
    return Drawn(label, [entry], visible(size, polygon), pixels_of(size, polygon))


def rectangle(label, size, x1, y1, x2, y2):
    corners = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    return outlined(label, size, "rectangle", [[x2, y1], [x1, y2]], corners)


def circle(label, size, x, y, radius):
    angles = np.linspace(0, 2 * math.pi, 720, endpoint=False)
    rim = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
    return outlined(label, size, "circle", [[x, y], [x + radius * 0.6, y + radius * 0.8]], rim)


def bitmap(label, size, left, top, bits):
    """A mask; its lines are rows, ``#`` is covered."""
    pixels = np.array([[character == "#" for character in row] for row in bits.split()])
    rows, columns = pixels.shape
    png = encoded(Image.fromarray(pixels), "PNG")
    entry = shape(label, points=[[left, top], [left + columns - 1, top + rows - 1]], shape_type="mask",
                  mask=base64.b64encode(png).decode())  # fmt: skip
    whole = np.zeros((size[1] + 40, size[0] + 40), np.uint8)
    whole[top + 20 : top + 20 + rows, left + 20 : left + 20 + columns] = pixels
    whole = whole[20:-20, 20:-20]
    ys, xs = np.nonzero(whole)
    return Drawn(label, [entry], [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], whole)


def joined(number, *parts):
    """Several shapes as one object."""
    shapes = [{**entry, "group_id": number} for part in parts for entry in part.shapes]
    low = np.min([part.box_xyxy[:2] for part in parts], axis=0)
    high = np.max([part.box_xyxy[2:] for part in parts], axis=0)
    return Drawn(parts[0].label, shapes, [*low, *high], np.bitwise_or.reduce([part.pixels for part in parts]))


RING = "..####.. .######. ###..### ##....## ##....## ###..### .######. ..####.."
CONCAVE = [[5, 5], [40, 5], [40, 40], [25, 40], [25, 20], [18, 20], [18, 40], [5, 40]]
SPIKED = [[20, -30], [60, -30], [60, 90], [30, 90], [30, 60], [45, 60], [45, -10], [25, -10], [25, 12], [20, 12]]


@functools.cache
def scenes():
    """Name -> image size, objects."""
    small, wide, large = (64, 48), (200, 31), (1200, 900)
    return {
        "a single pixel": ((1, 1), [rectangle("car", (1, 1), 0, 0, 1, 1)]),
        "two pixels": ((2, 1), [rectangle("car", (2, 1), 0, 0, 1, 1), rectangle("bus", (2, 1), 1, 0, 2, 1)]),
        "rectangles": (small, [rectangle("car", small, 2, 2, 6, 6), rectangle("car", small, 10.3, 4.8, 31.1, 20.2)]),
        "one-pixel rectangles": (small, [rectangle("car", small, x, 3, x + 1, 4) for x in range(2, 40, 6)]),
        "at all borders": (small, [rectangle("car", small, *box) for box in
                                   ((0, 0, 3, 3), (61, 0, 64, 3), (0, 45, 3, 48), (61, 45, 64, 48))]),
        "across all borders": (small, [rectangle("car", small, *box) for box in
                                       ((-9, 10, 5, 20), (60, 10, 80, 20), (20, -7, 30, 4), (20, 44, 30, 90))]),
        "beyond everything": (small, [rectangle("car", small, -50, -60, 90, 70)]),
        "polygons": (small, [outlined("car", small, "polygon", [[3, 4], [20, 6], [11, 30]]),
                             outlined("bus", small, "polygon", [[30.5, 8.25], [60, 11], [52, 40.75], [35, 33]])]),
        "concave": (small, [outlined("car", small, "polygon", CONCAVE)]),
        "concave across borders": (small, [outlined("car", small, "polygon", SPIKED)]),
        "around a corner": (small, [outlined("car", small, "polygon", [[-10, 3], [3, -10], [30, 20], [20, 30]])]),
        "four corners": (small, [
            outlined("car", small, kind, [[x + 2, 5], [x + 12, 8], [x + 10, 30], [x, 27]])
            for x, kind in enumerate(("rotation", "oriented_rectangle", "quadrilateral", "rectangle"))
            for x in [x * 15 + 1]
        ]),
        "circles": (small, [circle("car", small, 20, 20, 12), circle("bus", small, 50, 30, 5.5)]),
        "circles across borders": (small, [circle("car", small, 3, 20, 12), circle("bus", small, 60, 47, 9)]),
        "masks": (small, [bitmap("car", small, 4, 5, RING), bitmap("car", small, 30, 20, "#.# .#. #.#")]),
        "masks across borders": (small, [bitmap("car", small, -3, -2, RING), bitmap("bus", small, 60, 44, RING)]),
        "a one-pixel mask": (small, [bitmap("car", small, 63, 47, "#")]),
        "several parts": (small, [
            joined(1, rectangle("car", small, 2, 2, 9, 9),
                   outlined("car", small, "polygon", [[20, 20], [40, 22], [25, 40]])),
            joined(2, bitmap("bus", small, 44, 5, RING), rectangle("bus", small, 40, 2, 46.5, 20)),
            joined(2, rectangle("car", small, 55, 30, 60, 36), circle("car", small, 50, 40, 4)),
        ]),
        "a long image": (wide, [rectangle("car", wide, 0, 0, 200, 31), rectangle("bus", wide, 3, 30, 197, 31)]),
        "a large image": (large, [rectangle("car", large, 10.7, 20.2, 801.9, 777.1),
                                  circle("bus", large, 900, 700, 400),
                                  outlined("car", large, "polygon", [[1000, 5], [1190.5, 400], [820, 350.25]]),
                                  rectangle("bus", large, 600, 880, 601, 881)]),
    }  # fmt: skip


def record(folder, size, objects):
    """The COCO document that record makes of the objects."""
    Image.new("RGB", size, (90, 90, 90)).save(folder / "a.png")
    shapes = [entry for drawn in objects for entry in drawn.shapes]
    text = json.dumps(document(*shapes, imagePath="a.png", imageWidth=size[0], imageHeight=size[1]))
    (folder / "a.json").write_text(text)
    data = settings(classes=CLASSES)
    annotations = read_folder(folder, data)
    assert {fault.kind for fault in annotations.faults} <= {"outside_image"}
    return merge(annotations.images, ["val"], data, "d")["val"]


def detect(objects):
    """What a perfect detector returns: boxes and masks of the drawn objects, the later the less sure."""
    return Detections(
        1,
        np.array([drawn.box_xyxy for drawn in objects], np.float32),
        np.linspace(0.9, 0.5, len(objects)).astype(np.float32),
        np.array([1 + CLASSES.index(drawn.label) for drawn in objects]),
        [coco_mask.encode(np.asfortranarray(drawn.pixels)) for drawn in objects],
    )


def pycocotools_precision(truth, found, kind):
    """AP by pycocotools alone."""
    results = [
        {
            "image_id": 1,
            "category_id": int(found.category_ids[index]),
            "score": float(found.scores[index]),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            **({} if kind == "bbox" else {"segmentation": found.masks[index]}),
        }
        for index, (x1, y1, x2, y2) in enumerate(found.boxes_xyxy.astype(float).tolist())
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(truth))
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0]


@pytest.mark.parametrize("scene", scenes())
def test_what_was_drawn_has_average_precision_one(scene, tmp_path):
    size, objects = scenes()[scene]
    truth, found = record(tmp_path, size, objects), detect(objects)
    assert len(truth["annotations"]) == len(objects)
    assert pycocotools_precision(truth, found, "bbox") == pytest.approx(1.0)
    assert pycocotools_precision(truth, found, "segm") == pytest.approx(1.0)
    scores = evaluate_coco(truth, [found]).values
    assert (scores["box_AP"], scores["mask_AP"]) == pytest.approx((1.0, 1.0))
    assert evaluate_divided(truth, [found]).values["dv_mAP"] == pytest.approx(1.0)


@pytest.mark.parametrize("scene", scenes())
def test_recorded_boxes_and_areas_are_those_of_the_drawn_objects(scene, tmp_path):
    size, objects = scenes()[scene]
    truth = record(tmp_path, size, objects)
    for annotation in truth["annotations"]:
        x, y, width, height = annotation["bbox"]
        drawn = min(objects, key=lambda one: np.abs(np.subtract(one.box_xyxy, [x, y, x + width, y + height])).sum())
        assert [x, y, x + width, y + height] == pytest.approx(drawn.box_xyxy, abs=0.06)
        assert annotation["area"] == pytest.approx(drawn.pixels.sum(), rel=0.015, abs=1)


def test_the_detector_must_be_exact(tmp_path):
    """One pixel more on two sides of a small box, as labelme's converter has it, is seen."""
    size = (64, 48)
    truth = record(tmp_path, size, [rectangle("car", size, 2, 2, 6, 6)])
    wider = rectangle("car", size, 2, 2, 7, 7)
    assert pycocotools_precision(truth, detect([wider]), "bbox") < 0.5


def test_random_scenes_have_average_precision_one(tmp_path):
    rng = np.random.default_rng(3)
    for index in range(40):
        size = tuple(int(side) for side in rng.integers(24, 400, 2))
        objects, taken = [], []
        while len(objects) < 4 and len(taken) < 40:
            center, reach = rng.uniform(0, size), rng.uniform(3, 40)
            taken.append((center, reach))
            if any(np.abs(center - other).max() < reach + far + 2 for other, far in taken[:-1]):
                continue
            label = CLASSES[len(objects) % 2]
            if index % 3 == 0:
                objects.append(circle(label, size, *center, reach))
            elif index % 3 == 1:
                objects.append(rectangle(label, size, *(center - reach), *(center + reach * rng.uniform(0.3, 1, 2))))
            else:
                angles = np.sort(rng.uniform(0, 2 * math.pi, 9))
                around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.5, 1, (9, 1)) * reach
                objects.append(outlined(label, size, "polygon", (center + around).round(2).tolist()))
        objects = [drawn for drawn in objects if drawn.pixels.sum() > 20]
        folder = tmp_path / str(index)
        folder.mkdir()
        truth, found = record(folder, size, objects), detect(objects)
        assert pycocotools_precision(truth, found, "bbox") == pytest.approx(1.0), index
        assert pycocotools_precision(truth, found, "segm") == pytest.approx(1.0), index
