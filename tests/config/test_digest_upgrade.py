"""Names of finished work from release to release: a new field at its default changes none of them."""

import json

import pytest
from pydantic import Field, create_model

from sightline.config.data import Data, Splits
from sightline.config.decode import decode
from sightline.config.difference import differences_from_stored
from sightline.config.digest import config_digest, record_digest, relevant_part
from sightline.config.schema import Config
from sightline.config.section import Section
from sightline.config.train import Train
from tests.documents.make_fixtures import DIGESTS, FIXTURES

STEPS = ("record", "train", "evaluate", "test")


def digests(config):
    return {step: config_digest(step, config) for step in STEPS}


@pytest.mark.parametrize("recipe", DIGESTS)
def test_finished_work_of_the_first_release_has_the_same_name(recipe):
    """Digests that the first release made."""
    stored = json.loads((FIXTURES / "digests" / "format-1.json").read_text())[recipe]
    config = decode(recipe, DIGESTS[recipe])
    assert digests(config) == stored
    assert record_digest(json.loads(config.model_dump_json())) == stored["record"]


class Quality(Section):
    """A section that a later release adds."""

    sharpness: float = 0.5
    names: tuple[tuple[str, int], ...] = (("a", 1),)


class LaterSplits(Splits):
    """With a field more, two sections deep."""

    seed: int = 7


class LaterData(Data):
    """With fields and a section more."""

    splits: LaterSplits = LaterSplits()
    rotate: bool = False
    weights: dict[str, float] = Field({})
    quality: Quality = Quality()


Later = create_model(
    "Later", __base__=Config, data=LaterData, train=(create_model("T", __base__=Train, ema=(float, Field(0.0))), ...)
)


def later(**data):
    document = json.loads(decode("plates", ["data.tag=plates_ann_v1"]).model_dump_json())
    return Later.model_validate(document | {"data": document["data"] | data})


def test_a_new_field_at_its_default_changes_no_name():
    assert "ema" in relevant_part("train", later())["train"]
    assert digests(later()) == digests(decode("plates", ["data.tag=plates_ann_v1"]))


@pytest.mark.parametrize(
    "data",
    [
        {"rotate": True},
        {"weights": {"car": 2.0}},
        {"quality": {"sharpness": 0.6}},
        {"quality": {"names": [["b", 1]]}},
        {"splits": {"train": 0.7, "val": 0.15, "test": 0.15, "seed": 8}},
    ],
)
def test_a_new_field_that_is_set_changes_the_name(data):
    changed = {step for step in STEPS if digests(later(**data))[step] != digests(later())[step]}
    assert changed == {"record"}


def test_record_does_not_depend_on_the_task():
    config = decode("plates", ["data.tag=plates_ann_v1"])
    other = config.model_copy(update={"task": "keypoints"})
    assert config_digest("record", other) == config_digest("record", config)
    assert config_digest("train", other) != config_digest("train", config)
    assert set(relevant_part("record", config)) == {"data"}


def test_a_training_tag_that_names_a_task_was_made_in_the_same_way():
    stored = json.loads((FIXTURES / "training_set" / "format-1.json").read_text())["configuration"]
    assert stored["task"] == "instance_segmentation"
    now = {"data": json.loads(json.dumps(stored["data"]))}
    assert differences_from_stored(stored, now) == []
    now["data"]["near_duplicates"] = False
    assert [one.path for one in differences_from_stored(stored, now)] == ["data.near_duplicates"]
