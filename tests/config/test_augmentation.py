"""The list of augmentations: what it accepts, and the mapping of earlier releases."""

import json

import pytest

from sightline.config.augmentation import KINDS, as_first_release, complete
from sightline.config.decode import decode, from_json
from sightline.config.difference import differences_from_recipe
from sightline.config.digest import config_digest
from sightline.config.schema import Config
from sightline.errors import ConfigurationError
from tests.golden import raises

CLASSES = "data.classes=[left_hand, right_hand]"


def augmentation(*overrides):
    config = decode("instance_segmentation", [CLASSES, *overrides])
    return config.model_dump(mode="json")["train"]["augmentation"]


def names(entries):
    return [entry["name"] for entry in entries]


def test_the_default_is_that_of_earlier_releases():
    assert augmentation() == complete({}) == augmentation("train.augmentation={}")
    assert as_first_release(augmentation()) == {"flip": 0.5, "brightness": 0.2, "contrast": 0.2, "scale": 0.0}


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"flip": 0.0}, ["photometric"]),
        ({"brightness": 0.0, "contrast": 0.0}, ["flip"]),
        ({"flip": 0, "brightness": 0, "contrast": 0}, []),
        ({"scale": 0.3}, ["photometric", "scale_jitter", "flip"]),
        ({"brightness": 0.0, "scale": 1.0}, ["photometric", "scale_jitter", "flip"]),
    ],
)
def test_the_mapping_of_earlier_releases_becomes_a_list_in_their_order(mapping, expected):
    entries = augmentation(f"train.augmentation={json.dumps(mapping)}")
    assert names(entries) == expected
    assert all(entry["low"] == pytest.approx(max(1 - mapping["scale"], 0.01)) for entry in entries if "low" in entry)


@pytest.mark.parametrize("scale", [0.0, 0.1, 0.3, 0.7])
def test_a_list_that_means_the_same_has_the_same_digest(scale):
    mapping = decode("instance_segmentation", [CLASSES, f"train.augmentation={{flip: 0.25, scale: {scale}}}"])
    entries = json.dumps(mapping.model_dump(mode="json")["train"]["augmentation"])
    listed = decode("instance_segmentation", [CLASSES, f"train.augmentation={entries}"])
    assert as_first_release(json.loads(entries))["scale"] == scale
    assert config_digest("train", mapping) == config_digest("train", listed)
    other = decode("instance_segmentation", [CLASSES, "train.augmentation=[{name: flip}, {name: rotate}]"])
    assert config_digest("train", other) != config_digest("train", listed)


def test_the_order_of_the_list_is_part_of_the_digest():
    digests = {
        config_digest("train", decode("instance_segmentation", [CLASSES, f"train.augmentation=[{entries}]"]))
        for entries in ("{name: flip}, {name: photometric}", "{name: photometric}, {name: flip}", "{name: flip}")
    }
    assert len(digests) == 3


def test_a_stored_configuration_of_an_earlier_release_is_read():
    stored = json.loads(decode("plates").model_dump_json())
    stored["train"]["augmentation"] = {"flip": 0.0, "brightness": 0.2, "contrast": 0.2, "scale": 0.0}
    assert from_json(json.dumps(stored)) == decode("plates")
    assert not [one for one in differences_from_recipe(stored) if one.path.startswith("train.augmentation")]
    stored["train"]["augmentation"]["flip"] = 0.5
    assert [one.path for one in differences_from_recipe(stored)] == ["train.augmentation"]


def test_every_kind_survives_json():
    kinds = KINDS.keys() - {"mixup", "cutmix"}  # which this task cannot have
    entries = [{"name": name} for name in sorted(kinds)] + [{"name": "my.module:Fog", "density": 0.5, "colors": [1, 2]}]
    config = decode("instance_segmentation", [CLASSES, f"train.augmentation={json.dumps(entries)}"])
    again = Config.model_validate_json(config.model_dump_json())
    assert again == config
    assert [type(one) for one in again.train.augmentation] == [type(one) for one in config.train.augmentation]
    assert again.train.augmentation[-1].arguments == {"density": 0.5, "colors": [1, 2]}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("[{name: mosaik}]", "did you mean mosaic"),
        ("[{name: flip, probabilty: 1}]", "did you mean probability"),
        ("[{name: crop, smallest: 0}]", "train.augmentation.0.smallest"),
        ("[{name: jpeg, low: 90, high: 20}]", "train.augmentation.0"),
        ("[{probability: 1}]", "train.augmentation.0"),
        ("[flip]", "train.augmentation.0"),
        ("{name: flip}", "train.augmentation"),
        ("{flop: 0.5}", "did you mean flip"),
        ("{flip: 2}", "train.augmentation"),
        ("[{name: flip, swap: {left_hand: right_hnd}}]", "did you mean right_hand"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value, shown):
    with raises(ConfigurationError, shown):
        augmentation(f"train.augmentation={value}")


def test_a_list_is_set_as_a_whole():
    with raises(ConfigurationError, "--set 'train.augmentation=[...]'"):
        augmentation("train.augmentation=[{name: flip}]", "train.augmentation.flip=0")
    assert names(augmentation("train.augmentation.flip=0")) == ["photometric"]
