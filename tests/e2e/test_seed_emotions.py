"""Faces of emotions: sample, rename, convert, split, crop, sync; then a training and its confusion matrix."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.e2e.seeds import SeedWorld

pytestmark = pytest.mark.slow

EMOTIONS = ("기쁨", "슬픔", "neutral")
PHOTOS = 36
SIDE = 24


def draw_photo(path, index):
    """A photo with one face, whose mouth shows the emotion, and its labelme file; returns the emotion."""
    rng = np.random.default_rng(index)
    emotion = EMOTIONS[index % len(EMOTIONS)]
    image = Image.fromarray(rng.integers(0, 256, (72, 96, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    x, y = (int(value) for value in rng.integers(20, 40, 2))
    pen.ellipse((x, y, x + SIDE, y + SIDE + 6), fill=(230, 190, 150))
    mouth = (x + 6, y + 14, x + 18, y + 24)
    if emotion == EMOTIONS[0]:
        pen.arc(mouth, 0, 180, fill=(150, 0, 0), width=2)
    elif emotion == EMOTIONS[1]:
        pen.arc(mouth, 180, 360, fill=(150, 0, 0), width=2)
    else:
        pen.line((x + 6, y + 20, x + 18, y + 20), fill=(150, 0, 0), width=2)
    image.save(path)
    face = {"label": emotion, "points": [[x, y], [x + SIDE, y + SIDE + 6]], "shape_type": "rectangle", "flags": {}}
    document = {"version": "5.5.0", "flags": {}, "shapes": [face], "imagePath": path.name, "imageData": None}
    size = {"imageHeight": image.height, "imageWidth": image.width}
    path.with_suffix(".json").write_text(json.dumps(document | size))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The photos after each tool, with what it said in ``world.said``."""
    world = SeedWorld(tmp_path_factory.mktemp("emotions"))
    (world.folder / "photos").mkdir()
    for index in range(PHOTOS):
        draw_photo(world.folder / "photos" / f"얼굴 {index:02}.jpg", index)

    def dataset(tool, *arguments):
        world.said[tool] = world.sightline("dataset", tool, *arguments)

    world.said = {}
    dataset("sample", "photos", "sampled", "--fraction", "0.67", "--seed", "1")
    dataset("rename", "sampled", "renamed", "--by", "uuid")
    dataset("convert", "renamed", "coco", "--to", "coco")
    dataset("split", "coco", "split", "--val", "0.25", "--test", "0.25")
    dataset("crop", "split", "crops", "--size", "48x48", "--padding", "black", "--scale", "0.8")
    world.dropped = sorted((world.folder / "split" / "images").iterdir())[0]
    world.dropped.rename(world.folder / "rejected.jpg")
    for split in ("train", "val", "test"):
        dataset("sync", f"split/{split}.json", "split/images", f"{split}.json")
    yield world
    shutil.rmtree(world.folder)


def documents(folder):
    return {split: json.loads((folder / f"{split}.json").read_text()) for split in ("train", "val", "test")}


def test_the_same_fraction_of_every_emotion_is_sampled(world):
    assert world.said["sample"].count("8 of 12 images") == len(EMOTIONS)


def test_the_mapping_leads_back_to_the_names(world):
    with (world.folder / "renamed.mapping.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = [row for row in rows if row["old"].endswith(".jpg")]
    assert len(images) == 24
    assert all(row["old"].startswith("얼굴 ") for row in images)
    assert all(re.fullmatch(r"[0-9a-f]{32}\.jpg", row["new"]) for row in images)
    world.sightline("dataset", "rename", "--back", "renamed.mapping.csv", "back")
    for path in (world.folder / "sampled").iterdir():
        assert (world.folder / "back" / path.name).read_bytes() == path.read_bytes()


def test_every_crop_has_the_size_and_the_class_of_its_face(world):
    counts = {}
    for path in (world.folder / "crops").rglob("*.jpg"):
        split, emotion = path.relative_to(world.folder / "crops").parts[:2]
        counts.setdefault(split, {}).setdefault(emotion, 0)
        counts[split][emotion] += 1
        with Image.open(path) as image:
            assert image.size == (48, 48)
    assert counts.keys() == {"train", "val", "test"}
    assert all(one.keys() == set(EMOTIONS) for one in counts.values())
    assert sum(sum(one.values()) for one in counts.values()) == 24


def test_sync_removes_exactly_the_missing_image(world):
    before, after = documents(world.folder / "split"), documents(world.folder)
    names = [
        {image["file_name"].rpartition("/")[2] for one in x.values() for image in one["images"]}
        for x in (before, after)
    ]
    assert names[0] - names[1] == {world.dropped.name}
    assert names[1] < names[0]


@pytest.fixture(scope="module")
def trained(world):
    """The output of a training on the crops."""
    world.checked = world.sightline("check", "crops")
    world.add("crops", "emotions")
    return world.start(
        "classification_small",
        "data.tag=emotions_ann_v1",
        f"data.classes=[{', '.join(EMOTIONS)}]",
        "model={image_size: 48, width: 8, stages: 2}",
        "data.near_duplicates=off",  # drawn faces look alike
        "evaluate.minimum=0",
    )


def test_the_splits_of_the_tools_are_those_of_the_training(world, trained):
    for split in ("train", "val", "test"):
        images = world.document("emotions_train_v1", split)["images"]
        assert len(images) == sum(1 for _ in (world.folder / "crops" / split).rglob("*.jpg"))


def test_the_confusion_matrix_is_in_the_summary_and_on_the_page(world, trained):
    (model,) = world.summary()["models"].values()
    (confusion,) = [section for section in model["sections"] if section["id"] == "confusion"]
    assert confusion["labels"] == list(EMOTIONS)
    matrix = np.array(confusion["matrix"])
    assert matrix.sum() == len(world.document("emotions_train_v1", "test")["images"])
    assert matrix.trace() / matrix.sum() == pytest.approx(model["metrics"]["accuracy"])
    page = world.page()
    assert "Confusion" in page
    assert all(emotion in page for emotion in EMOTIONS)
