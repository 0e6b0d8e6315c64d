"""A tiny dataset that a tiny network can be trained on: squares and discs on grey, as COCO or as labelme."""

import hashlib
import json
import math

import numpy as np
from PIL import Image, ImageDraw

from sightline.config.train import Train
from sightline.data.loading.dataset import CocoDataset
from sightline.data.rasterizer import encode_mask, rasterize
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import Preprocessing
from sightline.tasks.instance_segmentation.settings import MaskDetector

CLASSES = ("square", "disc")

TINY_MODEL = MaskDetector(
    backbone="timm:test_resnet",
    weights="none",
    image_size=64,
    fpn_channels=16,
    head_channels=32,
    mask_channels=16,
    anchor_sizes=(8, 16, 32, 64),
    proposals=40,
    sampled_proposals=16,
)

TINY_TRAIN = Train(
    iterations=6,
    batch_size=2,
    learning_rate=2e-3,
    warmup_iterations=2,
    validate_every=3,
    checkpoint_every=2,
    log_every=2,
    workers=0,
    device="cpu",
    augmentation={"flip": 0.5, "scale": 0.3},
)


def draw(index, size=(80, 60)):
    """Image ``index``: RGB, and its shapes as (class index, polygon)."""
    rng = np.random.default_rng(index)
    image = Image.fromarray(rng.integers(90, 120, (size[1], size[0], 3), dtype=np.uint8))
    shapes = []
    for kind, left in ((0, 4), (1, size[0] // 2)):
        side = int(rng.integers(14, 26))
        x, y = left + int(rng.integers(0, 8)), int(rng.integers(2, size[1] - side - 2))
        points = outline(kind, x, y, side)
        ImageDraw.Draw(image).polygon(points, fill=((220, 30, 30), (30, 30, 220))[kind])
        shapes.append((kind, points))
    return image, shapes


def draw_alike(index, size=(80, 60)):
    """As :func:`draw`, but hard to tell apart: squares and discs anywhere, of similar colours."""
    rng = np.random.default_rng(index)
    image = Image.fromarray(rng.integers(60, 150, (size[1], size[0], 3), dtype=np.uint8))
    shapes = []
    for left in (4, size[0] // 2):
        kind, side = int(rng.integers(2)), int(rng.integers(14, 26))
        x, y = left + int(rng.integers(0, 8)), int(rng.integers(2, size[1] - side - 2))
        points = outline(kind, x, y, side)
        colour = rng.integers(150, 230, 3)
        colour[0] += (45, -45)[kind]
        ImageDraw.Draw(image).polygon(points, fill=tuple(colour.clip(0, 255).tolist()))
        shapes.append((kind, points))
    return image, shapes


def outline(kind, x, y, side):
    """A square or a disc as a polygon."""
    if kind == 0:
        return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
    angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    return [(x + side / 2 * (1 + math.cos(a)), y + side / 2 * (1 + math.sin(a))) for a in angles]


def write_coco(root, images, first=0, drawn=draw):
    """Draw images into ``root`` and give their COCO document; every second outline is a run-length encoding."""
    document = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i + 1, "name": n} for i, n in enumerate(CLASSES)],
    }
    root.mkdir(parents=True, exist_ok=True)
    for image_id, index in enumerate(range(first, first + images), start=1):
        image, shapes = drawn(index)
        image.save(root / f"{index}.png")
        document["images"].append(
            {"id": image_id, "file_name": f"{index}.png", "width": image.width, "height": image.height}
            | {"sha256": hashlib.sha256((root / f"{index}.png").read_bytes()).hexdigest(), "group": ""}
        )
        for kind, points in shapes:
            corners = np.array(points)
            low, high = corners.min(axis=0), corners.max(axis=0)
            polygon = [corners.ravel().tolist()]
            mask = rasterize(polygon, image.height, image.width)
            number = len(document["annotations"]) + 1
            document["annotations"].append(
                {
                    "id": number,
                    "image_id": image_id,
                    "category_id": kind + 1,
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "area": float(mask.sum()),
                    "segmentation": encode_mask(mask) if number % 2 else polygon,
                    "iscrowd": 0,
                }
            )
    return document


def write_labelme(folder, images, drawn=draw):
    """Draw images into ``folder`` with labelme annotations beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(images):
        image, shapes = drawn(index)
        image.save(folder / f"{index}.png")
        document = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [
                {"label": CLASSES[kind], "points": points, "shape_type": "polygon", "flags": {}, "group_id": None}
                for kind, points in shapes
            ],
            "imagePath": f"{index}.png",
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
        }
        (folder / f"{index}.json").write_text(json.dumps(document))


def make_dataset(
    root, images=5, *, model=TINY_MODEL, augmentation=TINY_TRAIN.augmentation, seed=0, loading=TINY_TRAIN, **changes
):
    """A :class:`CocoDataset` of freshly drawn images."""
    document = write_coco(root, images)
    return CocoDataset(
        document,
        root,
        image_size=model.image_size,
        max_pixels=10**6,
        augmentation=augmentation,
        seed=seed,
        loading=loading,
        **changes,
    )


def make_card(model=TINY_MODEL, **changes):
    """What a model file of the tiny network says."""
    values = {
        "task": "instance_segmentation",
        "architecture": model,
        "classes": CLASSES,
        "category_ids": (1, 2),
        "preprocessing": Preprocessing(model.image_size),
        "reading": "none",
        "configuration": {"seed": 0},
        "training_tag": "shapes_train_v1",
        "training_commit": "c" * 40,
        "dataset_digest": "d" * 32,
        "code_rev": "0.1.0",
        "iteration": 6,
        "metrics": {"mask_AP": 0.5},
    }
    return ModelCard(**(values | changes))
