"""Tyres in folders of version, usage and class: choices checked before anything runs, and a minimum for champions."""

import shutil

import pytest

from tests.e2e.seeds import SeedWorld

pytestmark = pytest.mark.slow

USAGES = ("train", "train", "train", "train", "val", "test")
OPTIONS = [
    "data.tag=tyres_ann_v1",
    "data.classes=[good, defect]",
    "data.aliases={crack: defect, cut: defect, bulge: defect}",
    "model.network=timm",
    "model.backbone=test_efficientnet",
    "model.weights=none",
    "model.image_size=64",
    "train.iterations=6",
    "train.learning_rate=1e-5",
    "train.hooks.early_stopping={patience: 1}",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """24 surfaces in the lake ``v1/<usage>/<class>``, published."""
    world = SeedWorld(tmp_path_factory.mktemp("tyres"))
    world.sightline("demo", "draw", "drawn", "--kind", "tyres", "--images", "24", "--size", "96x96", "--seed", "1")
    for folder in (world.folder / "drawn").iterdir():
        for usage, image in zip(USAGES, sorted(folder.iterdir()), strict=True):
            target = world.folder / "lake" / "v1" / usage / folder.name
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(image, target)
    world.added = world.add("lake", "tyres")
    yield world
    shutil.rmtree(world.folder)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.network=resnet", ("timm", "cnn", "tiny_vgg", "poster")),
        ("model.backbone=efficientnet_b00", ("model.backbone", "efficientnet_b0")),
        ("train.epochs=-1", ("train.epochs",)),
        ("train.learning_rate=30", ("train.learning_rate", "less than or equal to 10")),
    ],
)
def test_a_wrong_choice_is_refused_before_anything_is_recorded(world, override, named):
    output = world.start("tyres", *OPTIONS, override, expect=1)
    assert all(name in output for name in named)
    assert not (world.home / "work").exists()
    assert "tyres_train" not in world.sightline("data", "list")


@pytest.fixture(scope="module")
def refused(world):
    """The output of a run whose model is not good enough."""
    return world.start("tyres", *OPTIONS, "evaluate.minimum=1", steps="record,train,evaluate")


def test_the_next_command_is_printed_with_the_classes(world):
    assert "--set 'data.classes=[bulge, crack, cut, good]'" in world.added


def test_usages_are_the_splits_and_two_classes_remain(world, refused):
    for split, images in {"train": 16, "val": 4, "test": 4}.items():
        document = world.document("tyres_train_v1", split)
        assert [category["name"] for category in document["categories"]] == ["good", "defect"]
        assert len(document["images"]) == images
        for image in document["images"]:
            assert f"/v1/{split}/" in image["file_name"]
            assert image["labels"] == [1 if "/good/" in image["file_name"] else 2]


def test_the_training_stops_early(refused):
    assert "stopping after iteration" in refused


def test_a_model_below_the_minimum_is_not_registered(world, refused):
    (selection,) = world.result("evaluate")["selections"]
    assert selection["value"] < 1
    assert not selection["promoted"]
    assert "evaluate.minimum" in refused
    assert not (world.home / "bucket/champions").exists()


def test_a_model_above_the_minimum_is_the_champion(world, refused):
    world.start("tyres", *OPTIONS, "evaluate.minimum={accuracy: 0.1}", steps="evaluate")
    (selection,) = world.result("evaluate")["selections"]
    assert selection["promoted"]
    shown = world.sightline("model", "show", "champion:tyres")
    for fact in ("classification", "test_efficientnet", "tyres_train_v1", "defect"):
        assert fact in shown
