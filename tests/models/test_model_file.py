import json
import struct
from dataclasses import replace

import pytest
import torch

from sightline.errors import ModelFileError
from sightline.models.model_file import read_card, save_model
from sightline.models.safetensors_file import LONGEST_HEADER
from sightline.tasks.base import load_model
from sightline.tasks.instance_segmentation.network import build_detector
from tests.golden import raises
from tests.squares import TINY_MODEL, make_card


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return build_detector(TINY_MODEL, 2)


@pytest.fixture
def path(tmp_path, network):
    save_model(tmp_path / "model.safetensors", network, make_card())
    return tmp_path / "model.safetensors"


def with_header(path, change):
    """Write the file again with another header."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    text = json.dumps(change(header)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def with_card(path, change):
    """Write the file again with another description."""

    def described(header):
        header["__metadata__"]["sightline"] = json.dumps(change(json.loads(header["__metadata__"]["sightline"])))
        return header

    with_header(path, described)


def test_round_trip(path, network):
    loaded, card = load_model(path)
    assert card == make_card() == read_card(path)
    assert not loaded.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    image = torch.randint(0, 255, (3, 48, 64), dtype=torch.uint8)
    expected, given = network.eval()([image])[0], loaded([image])[0]
    assert all(torch.equal(expected[name], given[name]) for name in expected)


def test_the_same_training_gives_the_same_bytes(path, network, tmp_path):
    save_model(tmp_path / "again.safetensors", network, make_card())
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    save_model(path, network, replace(make_card(), iteration=7))
    assert read_card(path).iteration == 7
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.safetensors", "model.safetensors"]


def test_a_disk_that_does_not_take_it_is_an_error(network, tmp_path):
    with raises(ModelFileError):
        save_model(tmp_path / "nowhere" / "model.safetensors", network, make_card())
    (tmp_path / "model.safetensors").mkdir()
    with raises(ModelFileError):
        save_model(tmp_path / "model.safetensors", network, make_card())
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_another_task_or_other_classes_are_refused(path):
    load_model(path, task="instance_segmentation", classes=["square", "disc"])
    with raises(ModelFileError, "instance_segmentation"):
        load_model(path, task="keypoints")
    with raises(ModelFileError):
        load_model(path, classes=["disc", "square"])


@pytest.mark.parametrize("name", ["model.pt", "model.PTH", "model.safetensors"])
def test_pickles_are_refused_with_the_reason(tmp_path, name):
    torch.save({"weight": torch.zeros(1)}, tmp_path / name)
    with raises(ModelFileError):
        read_card(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        b"\0" * 64,
        struct.pack("<Q", LONGEST_HEADER + 1) + b" " * 100,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 50) + b"{}",  # cut off
    ],
)
def test_a_header_that_cannot_be_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with raises(ModelFileError):
        read_card(path)


@pytest.mark.parametrize("text", [b"not json", b"[1, 2]", b"[" * 100_000, b'"\xff"'])
def test_a_header_that_is_no_json_object_is_refused(tmp_path, text):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(ModelFileError) as caught:
        read_card(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with raises(ModelFileError):
        read_card(tmp_path / "model.safetensors")


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}])
def test_weights_without_a_description_are_refused(path, metadata):
    with_header(path, lambda header: header | {"__metadata__": metadata})
    with raises(ModelFileError):
        read_card(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: [], "JSON"),
        (lambda card: {**card, "classes": "square"}, "classes"),
        (lambda card: {**card, "metrics": {"mask_AP": float("nan")}}, "NaN"),
        (lambda card: {**card, "architecture": {"image_size": 10**9}}, "architecture.image_size"),
        (lambda card: {**card, "category_ids": [1]}, "category ids"),
        (lambda card: {**card, "category_ids": [1, 1]}, "category ids"),
        (lambda card: {**card, "category_ids": [0, 1]}, "category ids"),
        (lambda card: {**card, "category_ids": [1, 2**70]}, "category ids"),
        (lambda card: {**card, "thresholds": {"square": 1.5}}, "square"),
        (lambda card: {**card, "thresholds": {"square": -0.1}}, "square"),
        (lambda card: {**card, "format": 99}, "format 99"),
        (lambda card: {name: value for name, value in card.items() if name != "task"}, "task"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(path, change, words):
    with_card(path, change)
    with raises(ModelFileError, words):
        read_card(path)


def test_weights_that_do_not_fit_the_description_are_refused(path):
    with_card(path, lambda card: {**card, "architecture": {**card["architecture"], "fpn_channels": 32}})
    with raises(ModelFileError):
        load_model(path)


def test_a_file_cut_off_in_its_weights_is_refused(path):
    path.write_bytes(path.read_bytes()[:-100])
    for read in (read_card, load_model):
        with raises(ModelFileError):
            read(path)
