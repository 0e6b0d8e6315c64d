"""A model that saw val or test images in training, itself or by its initial weights, is found out."""

from contextlib import closing
from dataclasses import dataclass

import pytest

from sightline.database import CategoryCount, ImageRecord, ModelRecord, VersionRecord, open_database
from sightline.errors import StepError
from sightline.evaluation import leaks
from sightline.evaluation.leaks import LeakCheck


@dataclass
class Card:
    """What the leak check reads of a model card."""

    training_tag: str
    weights: str = ""
    weights_sha256: str = ""


def split(*names, group=""):
    return {
        "images": [{"id": n, "file_name": f"{x}.png", "sha256": x, "group": group or x} for n, x in enumerate(names)]
    }


OWN = split("a", "b")
SPLITS = {"val": split("c", "d"), "test": split("e", "f")}


@pytest.fixture
def database(tmp_path):
    with closing(open_database(f"sqlite:///{tmp_path / 'db.sqlite'}")) as opened:
        yield opened


def publish(database, tag, images):
    """Register a training set: (file, split, group) of each image."""
    dataset, _, version = tag.partition("_train_")
    records = [ImageRecord(part, f"{name}.png", name, 1, 1, 1, group) for name, part, group in images]
    version_record = VersionRecord(
        dataset=dataset, version=version, kind="train", tag=tag, commit="c" * 40, digest="d", parent_tag="",
        configuration_digest="d",
    )  # fmt: skip
    database.register_version(version_record, records, [CategoryCount("x", "train", 1, 1)])


def check(database, card, fetch=None, **splits):
    return LeakCheck(splits or SPLITS, "plates_train_v2", OWN, database, fetch).check(card)


def test_a_model_of_this_training_set_has_no_leak(database):
    found = check(database, Card("plates_train_v2"))
    assert (found.trained_on, found.leaks, found.unknown) == (["plates_train_v2"], [], [])


def test_images_and_groups_of_another_training_set_are_found(database):
    publish(database, "plates_train_v1", [("c", "train", "c"), ("x", "train", "f"), ("e", "test", "e")])
    found = check(database, Card("plates_train_v1"))
    assert [(leak.split, leak.count, leak.images, leak.same_file) for leak in found.leaks] == [
        ("val", 1, ["c.png"], True),
        ("test", 1, ["f.png"], False),  # a near-duplicate: another file of the same group
    ]
    assert "plates_train_v1" in found.val_leak


def test_a_duplicate_in_the_own_training_set_is_found(database):
    found = check(database, Card("plates_train_v2"), val=split("c", "b"), test=split("g", group="a"))
    assert [(leak.split, leak.same_file) for leak in found.leaks] == [("val", True), ("test", False)]


def test_the_models_that_a_model_started_from_are_checked_too(database, monkeypatch, tmp_path):
    publish(database, "plates_train_v1", [("x", "train", "x")])
    publish(database, "faces_train_v7", [("e", "train", "e")])
    database.register_model(ModelRecord("1" * 64, "file:///1", "t", "plates_train_v1", None, ""))
    database.register_model(ModelRecord("0" * 64, "file:///0", "t", "faces_train_v7", None, ""))
    cards = {"1" * 64: Card("plates_train_v1", "file:///0", "0" * 64), "0" * 64: Card("faces_train_v7")}
    monkeypatch.setattr("sightline.models.model_file.read_card", lambda path: cards[path.name])
    found = check(database, Card("plates_train_v2", "file:///1", "1" * 64), lambda uri, sha256: tmp_path / sha256)
    assert found.trained_on == ["plates_train_v2", "plates_train_v1", "faces_train_v7"]
    assert [(leak.split, leak.training_tag) for leak in found.leaks] == [("test", "faces_train_v7")]


def test_what_cannot_be_checked_is_said(database):
    database.register_model(ModelRecord("1" * 64, "file:///1", "t", "plates_train_v0", None, ""))

    def gone(uri, sha256):
        raise StepError("no longer in the result bucket")

    lost = check(database, Card("plates_train_v2", "champion:plates/EIR", "1" * 64), gone)
    foreign = check(database, Card("plates_train_v2", "./weights.pth", "2" * 64))
    published = check(database, Card("plates_train_v2", "torchvision:resnet50", "2" * 64))
    assert lost.trained_on == ["plates_train_v2", "plates_train_v0"]
    assert len(lost.unknown) == 2  # what the model started from; the images of plates_train_v0
    assert len(foreign.unknown) == 1
    assert "weights.pth" in foreign.unknown[0]
    assert published.unknown == []


def test_models_that_started_from_each_other_do_not_hang(database, monkeypatch, tmp_path):
    database.register_model(ModelRecord("1" * 64, "file:///1", "t", "plates_train_v2", None, ""))
    monkeypatch.setattr("sightline.models.model_file.read_card", lambda path: Card("", "file:///1", "1" * 64))
    assert check(database, Card("plates_train_v2", "file:///1", "1" * 64), lambda *_: tmp_path).leaks == []


def test_long_lists_are_shortened():
    many = leaks.Leak("val", "t", ["a", "b", "c"], 12, True)
    assert many.text.endswith("a, b, c and 9 more")
