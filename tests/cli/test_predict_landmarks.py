"""``sightline model predict --draw landmarks``."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from sightline.cli import cli
from sightline.models.model_file import save_model
from sightline.tasks.base import load_task
from tests.arrows import HEATMAP, card_of, draw
from tests.squares import TINY_MODEL, make_card


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("landmarks")
    torch.manual_seed(0)
    save_model(folder / "points.safetensors", load_task("keypoints").build_network(HEATMAP, 1), card_of(HEATMAP))
    masks = load_task("instance_segmentation").build_network(TINY_MODEL, 2)
    save_model(folder / "masks.safetensors", masks, make_card())
    draw(0)[0].save(folder / "photo.png")
    return folder


def predict(folder, model, *options):
    arguments = ["model", "predict", str(folder / model), str(folder / "photo.png"), "--score", "0", *options]
    return CliRunner().invoke(cli, [*arguments, "--out", str(folder / "out")])


@pytest.mark.parametrize("mode", [None, "gray", "color", "heatmap"])
def test_a_landmark_picture_is_as_large_as_its_image(folder, mode):
    result = predict(folder, "points.safetensors", "--draw", "landmarks", *(["--mode", mode] if mode else []))
    assert result.exit_code == 0, result.output
    picture = Image.open(folder / "out" / "photo.png")
    assert picture.size == (80, 60)
    assert picture.mode == ("RGB" if mode == "color" else "L")
    assert np.asarray(picture).any()
    (found,) = json.loads((folder / "out" / "photo.json").read_text())["detections"]
    assert set(found["keypoints"]) == {"front", "left", "right"}


def test_a_model_without_keypoints_has_no_landmarks(folder):
    result = predict(folder, "masks.safetensors", "--draw", "landmarks")
    assert result.exit_code != 0
    assert "instance_segmentation" in str(result.output) + str(result.exception)


def test_a_mode_needs_landmarks(folder):
    result = predict(folder, "points.safetensors", "--mode", "color")
    assert result.exit_code == 2
    assert "--draw landmarks" in result.output
