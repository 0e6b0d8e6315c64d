import json

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from sightline.cli.model import command
from sightline.errors import ModelFileError
from sightline.metrics.exact_match import Reading
from sightline.models.model_file import save_model
from sightline.tasks.base import load_task
from sightline.tasks.instance_segmentation.network import build_detector
from sightline.tasks.readers.plates import CLASSES as PLATE_CLASSES
from tests import classified
from tests.golden import raises
from tests.squares import TINY_MODEL, draw, make_card


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    save_model(path, build_detector(TINY_MODEL, 2), make_card())
    return path


def invoke(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_show_tells_everything_a_user_asks_for(model):
    lines = dict(line.split("  ", 1) for line in invoke("show", model).output.splitlines())
    shown = {name.strip(): value.strip() for name, value in lines.items()}
    assert shown["classes"] == "1: square, 2: disc"
    assert shown["training tag"] == f"shapes_train_v1 (commit {'c' * 40})"
    assert shown["code revision"] == "0.1.0"
    assert shown["val mask_AP"] == "0.5000"
    assert shown["input"].startswith("longer side 64 px")


def test_show_says_what_weights_the_training_started_from(model, tmp_path):
    assert "weights" not in {line.split("  ")[0] for line in invoke("show", model).output.splitlines()}
    card = make_card(weights="MaskRCNN_ResNet50_FPN_Weights.COCO_V1", weights_sha256="b" * 64)
    save_model(tmp_path / "model.safetensors", build_detector(TINY_MODEL, 2), card)
    output = invoke("show", tmp_path / "model.safetensors").output
    assert f"MaskRCNN_ResNet50_FPN_Weights.COCO_V1 (SHA-256 {'b' * 64})" in output


def test_show_as_json_holds_the_whole_header(model):
    card = json.loads(invoke("show", model.as_uri(), "--json").output)
    assert card["architecture"]["anchor_sizes"] == [8, 16, 32, 64]
    assert card["configuration"] == {"seed": 0}
    assert card["format"] == 2


def test_show_of_something_else_is_an_error(tmp_path):
    (tmp_path / "model.pth").write_bytes(b"PK\x03\x04")
    with raises(ModelFileError):
        invoke("show", tmp_path / "model.pth")


def test_predict_draws_and_writes_json(model, tmp_path):
    for index in range(2):
        draw(index)[0].save(tmp_path / f"{index}.png")
    arguments = ["--out", tmp_path / "out", "--score", "0", "--device", "cpu"]
    output = invoke("predict", model, tmp_path / "0.png", tmp_path / "1.png", *arguments).output
    document = json.loads((tmp_path / "out" / "0.json").read_text())
    assert f"0.png: {len(document['detections'])} detections" in output
    assert {"class", "category_id", "score", "box_xyxy", "mask"} == document["detections"][0].keys()
    assert document["detections"][0]["class"] in {"square", "disc"}
    assert document["detections"][0]["mask"]["size"] == [60, 80]
    assert "readings" not in document
    with Image.open(tmp_path / "out" / "1.png") as drawn:
        assert drawn.size == (160, 120)


def test_predict_keeps_sure_detections_alone(model, tmp_path):
    draw(0)[0].save(tmp_path / "0.png")
    output = invoke("predict", model, tmp_path / "0.png", "--out", tmp_path / "out", "--score", "1").output
    assert "0.png: 0 detections" in output
    assert json.loads((tmp_path / "out" / "0.json").read_text())["detections"] == []


def test_predict_prints_what_is_read(tmp_path, monkeypatch):
    network = build_detector(TINY_MODEL, len(PLATE_CLASSES))
    card = make_card(classes=PLATE_CLASSES, category_ids=tuple(range(1, len(PLATE_CLASSES) + 1)), reading="plates")
    save_model(tmp_path / "plates.safetensors", network, card)
    readings = [
        Reading("r_board", ("12a", "3456"), (10.0, 20.0), (30.0, 40.0), 0.9, True),
        Reading("l_board", ("1", "34"), (10.0, 20.0), (30.0, 40.0), 0.9, False),
    ]
    monkeypatch.setattr("sightline.tasks.readers.plates.PlateReader.read", lambda *_: readings)
    draw(0)[0].save(tmp_path / "0.png")
    output = invoke("predict", tmp_path / "plates.safetensors", tmp_path / "0.png", "--out", tmp_path / "out").output
    assert "; r_board 12a 3456\n" in output
    assert "l_board" not in output
    document = json.loads((tmp_path / "out" / "0.json").read_text())
    assert [reading["texts"] for reading in document["readings"]] == [["12a", "3456"], ["1", "34"]]


def test_predict_names_the_most_probable_class_of_a_classifier(tmp_path):
    task = load_task("classification")
    settings = classified.fitted(task, "cnn", classified.write_coco(tmp_path / "images", 4))
    network = task.build_network(settings, len(classified.COLOURS))
    with torch.no_grad():
        network.head.weight.zero_()  # all classes are as probable, and none reaches 0.5
    save_model(tmp_path / "m.safetensors", network, classified.make_card(settings))
    classified.draw(0)[0].save(tmp_path / "0.png")
    lines = [
        invoke("predict", tmp_path / "m.safetensors", tmp_path / "0.png", "--out", tmp_path / "out", *score).output
        for score in ([], ["--score", "0.5"])
    ]
    assert ["no class" in line for line in lines] == [False, True], lines
