"""A tiny dataset with keypoints: arrow heads on gray with a front, a left and a right corner, as COCO or labelme."""

import hashlib
import json

import numpy as np
from PIL import Image, ImageDraw

from sightline.config.data import Data
from sightline.config.labels import Keypoints
from sightline.data.label_schema import categories_of
from sightline.data.loading.dataset import CocoDataset
from sightline.tasks.keypoints.settings import HeatmapNetwork, KeypointDetector
from tests.squares import TINY_MODEL, TINY_TRAIN, make_card

CLASSES = ("arrow",)
NAMES = ("front", "left", "right")
KEYPOINTS = Keypoints(
    names=NAMES,
    skeleton=(("front", "left"), ("front", "right")),
    flip_pairs=(("left", "right"),),
    sigmas=(0.08, 0.1, 0.1),
)
DATA = Data(repository="data", classes=CLASSES, keypoints=KEYPOINTS)

DETECTOR = KeypointDetector(
    **TINY_MODEL.model_dump(include=set(KeypointDetector.model_fields)),
    keypoint_channels=16,
    keypoint_layers=1,
    keypoints=KEYPOINTS,
)
HEATMAP = HeatmapNetwork(
    backbone="timm:test_resnet",
    weights="none",
    image_size=64,
    crop_hw=(64, 64),
    deconvolution_channels=32,
    map_sigma=1.5,
    keypoints=KEYPOINTS,
)
NETWORKS = {"keypoint_rcnn": DETECTOR, "heatmap": HEATMAP}
DOTS = {"front": (230, 40, 40), "left": (40, 60, 230), "right": (40, 60, 230)}
"""Left and right look alike, as those of a mirrored arrow do; the front tells them apart."""


def draw(index, size=(80, 60)):
    """Image ``index``: RGB, and its arrows as points [3, 2] and visibility [3]; in every fourth image there is none."""
    rng = np.random.default_rng(index)
    image = Image.fromarray(rng.integers(90, 120, (size[1], size[0], 3), dtype=np.uint8))
    pen, arrows = ImageDraw.Draw(image), []
    for left in () if index % 4 == 3 else (4, size[0] // 2 + 2):
        middle = np.array([left + rng.uniform(14, 20), rng.uniform(18, size[1] - 18)])
        length, turn = rng.uniform(11, 14), rng.uniform(-0.9, 0.9)
        angles = turn + np.array([-np.pi / 2, np.pi * 0.85, np.pi * 0.15])
        points = middle + length * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        pen.polygon([tuple(point) for point in points], fill=(220, 210, 150))
        visibility = np.full(3, 2)
        visibility[1] -= int(index % 3 == 0)
        for (x, y), seen, name in zip(points, visibility, NAMES, strict=True):
            if seen == 2:
                pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=DOTS[name])
        arrows.append((points, visibility))
    return image, arrows


def write_coco(root, images, first=0):
    """Draw images into ``root`` and give their COCO document."""
    document = {"images": [], "annotations": [], "categories": categories_of(DATA)}
    root.mkdir(parents=True, exist_ok=True)
    for image_id, index in enumerate(range(first, first + images), start=1):
        image, arrows = draw(index)
        image.save(root / f"{index}.png")
        document["images"].append(
            {"id": image_id, "file_name": f"{index}.png", "width": image.width, "height": image.height}
            | {"sha256": hashlib.sha256((root / f"{index}.png").read_bytes()).hexdigest(), "group": ""}
        )
        for points, visibility in arrows:
            low, high = points.min(axis=0), points.max(axis=0)
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "area": float(np.prod(high - low) / 2),
                    "segmentation": [points.ravel().tolist()],
                    "iscrowd": 0,
                    "keypoints": np.column_stack([points, visibility]).ravel().tolist(),
                    "num_keypoints": 3,
                }
            )
    return document


def write_labelme(folder, images):
    """Draw images into ``folder`` with labelme annotations beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(images):
        image, arrows = draw(index)
        image.save(folder / f"{index}.png")
        shapes = []
        for group, (points, visibility) in enumerate(arrows):
            shapes.append(_shape("arrow", points, "polygon", group))
            shapes += [
                _shape(name, [point], "point", group, occluded=bool(seen == 1))
                for name, point, seen in zip(NAMES, points, visibility, strict=True)
            ]
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{index}.png", "imageData": None}
        size = {"imageHeight": image.height, "imageWidth": image.width}
        (folder / f"{index}.json").write_text(json.dumps(document | size))


def _shape(label, points, kind, group, **flags):
    points = [[float(x), float(y)] for x, y in points]
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": flags}


def make_dataset(root, images=5, *, model=DETECTOR, augmentation=TINY_TRAIN.augmentation, **changes):
    """A :class:`CocoDataset` of freshly drawn images."""
    return CocoDataset(
        write_coco(root, images),
        root,
        image_size=model.image_size,
        max_pixels=10**6,
        augmentation=augmentation,
        seed=0,
        loading=TINY_TRAIN,
        **changes,
    )


def card_of(model):
    """What a model file of a tiny network says."""
    return make_card(model, task="keypoints", classes=CLASSES, category_ids=(1,), metrics={"keypoint_AP": 0.5})
