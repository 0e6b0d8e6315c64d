"""Mask, gender and age at once: split by person, focal and F1 loss, accumulation, early stopping, several trackers."""

import csv
import json
import shutil
import sqlite3

import pytest

from tests.e2e.seeds import SeedWorld

pytestmark = pytest.mark.slow

SETS = {"mask": ["none", "incorrect", "correct"], "gender": ["female", "male"], "age": ["young", "middle", "old"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A run on drawn faces of several persons."""
    pytest.importorskip("mlflow")
    world = SeedWorld(tmp_path_factory.mktemp("persons"))
    world.sightline("demo", "draw", "faces", "--kind", "faces", "--images", "48", "--size", "96x96", "--seed", "3")
    world.added = world.add("faces", "faces")
    world.output = world.start(
        "classification_small",
        "data.tag=faces_ann_v1",
        f"data.label_sets={json.dumps(SETS)}",
        "data.columns.group=person",
        "data.splits={train: 0.5, val: 0.25, test: 0.25}",
        "model={image_size: 48, width: 8, stages: 2, loss: [{name: focal, gamma: 2}, {name: f1, weight: 0.5}]}",
        "train.learning_rate=1e-6",
        "train.micro_batch=2",
        "train.iterations=20",
        "train.hooks.early_stopping.patience=1",
        "train.best_metric=joint_accuracy",
        "train.trackers=[text, tensorboard, mlflow]",
        "evaluate={select_by: [joint_accuracy], minimum: 0}",
        steps="record,train,evaluate",
    )
    yield world
    shutil.rmtree(world.folder)


def test_the_next_command_names_label_sets_and_group(world):
    assert "data.label_sets=" in world.added
    assert "data.columns.group=person" in world.added


def test_no_person_is_on_two_sides(world):
    with (world.folder / "faces" / "labels.csv").open(newline="") as file:
        person = {row["path"]: row["person"] for row in csv.DictReader(file)}
    persons = {}
    for split in ("train", "val", "test"):
        images = world.document("faces_train_v1", split)["images"]
        persons[split] = {person["images/" + image["file_name"].rpartition("/")[2]] for image in images}
        assert persons[split]
    assert sum(map(len, persons.values())) == len(set(person.values()))


def test_every_label_set_has_its_loss_and_its_metrics(world):
    lines = [json.loads(line) for line in (files(world) / "metrics.jsonl").read_text().splitlines()]
    logged = {key for line in lines for key in line}
    assert {f"loss_{name}" for name in SETS} <= logged
    wanted = {"joint_accuracy", "accuracy", *(f"accuracy/{name}" for name in SETS)}
    assert {f"val/{name}" for name in wanted} <= logged
    assert wanted <= set(world.result("train")["candidates"][0]["metrics"])


def test_the_training_stops_early(world):
    assert "stopping after iteration" in world.output


def test_every_tracker_has_the_training(world):
    assert list((files(world) / "tensorboard").glob("events.out.tfevents.*"))
    with sqlite3.connect(world.home / "work" / "mlflow.sqlite") as connection:
        names = {name for (name,) in connection.execute("select distinct key from metrics")}
        parameters = dict(connection.execute("select key, value from params"))
    assert "val/joint_accuracy" in names
    assert (parameters["train.micro_batch"], parameters["train.batch_size"]) == ("2", "4")
    assert [loss["name"] for loss in json.loads(parameters["model.loss"])] == ["focal", "f1"]


def files(world):
    """The files of the training in the bucket."""
    (path,) = (world.home / "bucket" / "results" / "train").rglob("metrics.jsonl")
    return path.parent
