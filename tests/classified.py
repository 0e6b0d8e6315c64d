"""A tiny data set of classified images, as COCO or labelme: a coloured shape, with one label set or several."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
from PIL import Image, ImageDraw

from sightline.config.train import Train
from sightline.data.loading.dataset import CocoDataset
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import Preprocessing
from sightline.tasks.classification.settings import Cnn, Poster, TimmClassifier, TinyVgg

SHAPES = ("square", "disc")
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 160, 30)}
MARKS = ("bar", "dot")
"""Any number of them is in an image."""

ONE_SET = {"class": (COLOURS, False)}
SEVERAL = {"shape": (SHAPES, False), "colour": (tuple(COLOURS), False), "marks": (MARKS, True)}

NETWORKS = {
    "timm": TimmClassifier(backbone="test_efficientnet", weights="none", image_size=64),
    "resnet": TimmClassifier(backbone="resnet18", weights="none", image_size=64),
    "cnn": Cnn(image_size=64, width=16, stages=3),
    "tiny_vgg": TinyVgg(image_size=64, width=8),
    "poster": Poster(image_size=64, width=16, attention_heads=2, window=3),
}
TINY_TRAIN = Train(
    iterations=6,
    batch_size=4,
    learning_rate=2e-3,
    warmup_iterations=2,
    validate_every=3,
    checkpoint_every=2,
    log_every=2,
    workers=0,
    device="cpu",
    best_metric="accuracy",
)


def draw(index, size=(80, 60)):
    """Image ``index``: RGB, and its labels by label set."""
    rng = np.random.default_rng(index)
    image = Image.fromarray(rng.integers(90, 120, (size[1], size[0], 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    shape, colour = SHAPES[index % 2], tuple(COLOURS)[index // 2 % 3]
    side = int(rng.integers(22, 34))
    x, y = int(rng.integers(2, size[0] - side - 2)), int(rng.integers(2, size[1] - side - 2))
    {"square": pen.rectangle, "disc": pen.ellipse}[shape]((x, y, x + side, y + side), fill=COLOURS[colour])
    marks = [name for bit, name in enumerate(MARKS) if index >> bit + 1 & 1]
    if "bar" in marks:
        pen.rectangle((0, 0, size[0], 3), fill=(255, 255, 255))
    if "dot" in marks:
        pen.ellipse((0, size[1] - 12, 12, size[1]), fill=(255, 255, 0))
    return image, {"shape": [shape], "colour": [colour], "marks": marks, "class": [colour]}


def categories(sets):
    """All classes of label sets, as (label set, class)."""
    return [(name, one) for name, (classes, _) in sets.items() for one in classes]


def class_names(sets):
    return tuple(one if len(sets) == 1 else f"{name}/{one}" for name, one in categories(sets))


def write_coco(root, images, first=0, sets=ONE_SET):
    """Draw images into ``root`` and give their COCO document."""
    root.mkdir(parents=True, exist_ok=True)
    known = categories(sets)
    document = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(class_names(sets), start=1)],
        "label_sets": [
            {
                "name": name,
                "category_ids": [number for number, (one, _) in enumerate(known, start=1) if one == name],
                "multiple": multiple,
            }
            for name, (_, multiple) in sets.items()
        ],
    }
    for image_id, index in enumerate(range(first, first + images), start=1):
        image, labels = draw(index)
        image.save(root / f"{index}.png")
        document["images"].append(
            {
                "id": image_id,
                "file_name": f"{index}.png",
                "width": image.width,
                "height": image.height,
                "sha256": hashlib.sha256((root / f"{index}.png").read_bytes()).hexdigest(),
                "group": "",
                "labels": [number for number, (name, one) in enumerate(known, start=1) if one in labels[name]],
            }
        )
    return document


def write_labelme(folder, images, sets=ONE_SET):
    """Draw images into ``folder`` with labelme files beside them, whose flags are the labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(images):
        image, labels = draw(index)
        image.save(folder / f"{index}.png")
        names = zip(categories(sets), class_names(sets), strict=True)
        document = {
            "version": "5.5.0",
            "flags": {name: one in labels[label_set] for (label_set, one), name in names},
            "shapes": [],
            "imagePath": f"{index}.png",
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
        }
        (folder / f"{index}.json").write_text(json.dumps(document))


def make_dataset(root, images=8, *, sets=ONE_SET, image_size=64, augmentation=(), seed=0, loading=TINY_TRAIN):
    """A :class:`CocoDataset` of freshly drawn images, and its document."""
    document = write_coco(root, images, sets=sets)
    options = {"max_pixels": 10**6, "augmentation": augmentation, "seed": seed, "loading": loading}
    return CocoDataset(document, root, image_size=image_size, **options), document


def make_card(model, sets=ONE_SET, **changes):
    """What a model file of a classifier says."""
    names = class_names(sets)
    values = {
        "task": "classification",
        "architecture": model,
        "classes": names,
        "category_ids": tuple(range(1, len(names) + 1)),
        "preprocessing": Preprocessing(model.image_size),
        "reading": "none",
        "configuration": {"seed": 0},
        "training_tag": "shapes_train_v1",
        "training_commit": "c" * 40,
        "dataset_digest": "d" * 32,
        "code_rev": "0.1.0",
        "iteration": 6,
        "metrics": {"accuracy": 0.5},
    }
    return ModelCard(**(values | changes))


def fitted(task, network, document, **changes):
    """The settings of a network of :data:`NETWORKS` for a training set."""
    return task.fitted(NETWORKS[network].model_copy(update=changes), document)


def sample_of(labels, image=None, image_id=1):
    """What a classifier looks at in a sample."""
    pixels = np.zeros((48, 64, 3), np.uint8) if image is None else image
    return SimpleNamespace(image=pixels, image_labels=np.asarray(labels, np.float32), image_id=image_id)
