"""Keypoints: labelme rectangles with points; points, category, supercategory and fractions given as options."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sightline.models.model_file import read_card, save_model
from sightline.tasks.base import load_task
from tests.arrows import DATA, HEATMAP, NAMES, card_of, draw
from tests.e2e.seeds import SeedWorld

pytestmark = pytest.mark.slow

IMAGES = 12
OPTIONS = [
    "data.tag=arrows_ann_v1",
    "data.classes=[arrow]",
    f"data.keypoints={{names: [{', '.join(NAMES)}], flip_pairs: [[left, right]], supercategory: sign}}",
    "data.splits={train: 0.5, val: 0.25, test: 0.25}",
    "data.near_duplicates=false",
    "model.network=heatmap",
    "model.backbone=timm:test_resnet",
    "model.image_size=64",
    "model.crop_hw=[64, 64]",
    "model.deconvolution_channels=32",
    "evaluate.minimum=0",
]


def shape(label, points, kind, group, occluded=False):
    points = np.asarray(points, float).reshape(-1, 2).tolist()
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": {"occluded": occluded}}


def label(folder):
    """Write images with a rectangle around each arrow; where the left corner is occluded, the right one is absent."""
    folder.mkdir()
    for index in range(IMAGES):
        image, arrows = draw(index)
        image.save(folder / f"{index}.png")
        shapes = []
        for group, (points, visibility) in enumerate(arrows):
            shapes.append(shape("arrow", [points.min(axis=0) - 2, points.max(axis=0) + 2], "rectangle", group))
            for name, point, seen in zip(NAMES, points, visibility, strict=True):
                if not (name == "right" and visibility[1] == 1):
                    shapes.append(shape(name, point, "point", group, bool(seen == 1)))
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{index}.png", "imageData": None}
        size = {"imageHeight": image.height, "imageWidth": image.width}
        (folder / f"{index}.json").write_text(json.dumps(document | size))


def save_other_model(path):
    """The model file of a network for two keypoints."""
    keypoints = DATA.keypoints.model_copy(update={"names": ("nose", "tail"), "skeleton": (), "flip_pairs": ()})
    keypoints = keypoints.model_copy(update={"sigmas": ()})
    model = HEATMAP.model_copy(update={"keypoints": keypoints})
    save_model(path, load_task("keypoints").build_network(model, 1), card_of(model))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = SeedWorld(tmp_path_factory.mktemp("keypoints"))
    label(world.folder / "photos")
    save_other_model(world.folder / "other.safetensors")
    world.checked = world.sightline("check", str(world.folder / "photos"))
    world.add(world.folder / "photos", "arrows")
    world.output = world.start("keypoints_small", *OPTIONS, f"model.weights={world.folder / 'other.safetensors'}")
    yield world
    shutil.rmtree(world.folder)


def test_the_check_prints_the_options_with_the_keypoints(world):
    assert "--recipe keypoints" in world.checked
    for part in ("'data.classes=[arrow]'", "'data.keypoints.names=[", "'data.keypoints.flip_pairs=[[left, right]]'"):
        assert part in world.checked


def test_the_training_set_has_supercategory_visibility_and_fractions(world):
    documents = {split: world.document("arrows_train_v1", split) for split in ("train", "val", "test")}
    assert {split: len(one["images"]) for split, one in documents.items()} == {"train": 6, "val": 3, "test": 3}
    (category,) = documents["train"]["categories"]
    assert (category["id"], category["name"], category["supercategory"]) == (1, "arrow", "sign")
    assert category["keypoints"] == list(NAMES)
    found = {}
    for document in documents.values():
        names = {image["id"]: image["file_name"].rpartition("/")[2] for image in document["images"]}
        for annotation in document["annotations"]:
            found.setdefault(names[annotation["image_id"]], []).append(annotation)
    for index in range(IMAGES):
        truth = draw(index)[1]
        annotations = found.pop(f"{index}.png", [])
        assert len(annotations) == len(truth)
        for annotation, (points, visibility) in zip(annotations, truth, strict=True):
            triples = np.reshape(annotation["keypoints"], (3, 3))
            wanted = [2, 1, 0] if visibility[1] == 1 else [2, 2, 2]
            assert triples[:, 2].tolist() == wanted
            assert triples[triples[:, 2] > 0, :2] == pytest.approx(points[np.array(wanted) > 0], abs=0.01)
    assert found == {}


def test_the_body_of_a_model_with_other_keypoints_is_taken_over(world):
    path = Path(world.result("train")["candidates"][0]["uri"].removeprefix("file://"))
    assert read_card(path).architecture.keypoints.names == NAMES
    (table,) = (world.home / "bucket/results/train").rglob("weights.txt")
    rows = table.read_text().partition("\ntensor ")[2].splitlines()[1:]
    fates = dict(row.split()[:2] for row in rows)
    others = [name for name, fate in fates.items() if fate != "loaded"]
    assert len(fates) > len(others) == 2, others  # weight and bias of the last layer


def test_the_best_model_by_keypoint_ap_is_the_champion_and_is_tested(world):
    (selection,) = world.result("evaluate")["selections"]
    assert (selection["metric"], selection["promoted"]) == ("keypoint_AP", True)
    assert (world.home / "bucket/champions/arrows/keypoints/keypoint_AP.json").is_file()
    (model,) = world.summary()["models"].values()
    assert {"keypoint_AP", "keypoint_AP50", "keypoint_PCK"} <= set(model["metrics"])
    assert "keypoint_AP" in world.page()
    assert "result: keypoint_AP" in world.output
