"""Anchor sizes fitted to the boxes of a data set."""

import logging

import numpy as np
import pytest
import torch

from sightline.config.decode import decode
from sightline.errors import ConfigurationError
from sightline.models.model_file import read_card, save_model
from sightline.tasks.base import load_predictor, load_task
from sightline.tasks.detection.anchors import box_sides, fitted_sizes
from tests.golden import raises
from tests.squares import TINY_MODEL, draw, make_card, write_coco

STRIDES = (4, 8, 16, 32, 64)
AUTO = TINY_MODEL.model_copy(update={"anchor_sizes": "auto"})


@pytest.mark.parametrize(
    ("sides", "sizes"),
    [
        ([16] * 5 + [40] * 5 + [100] * 5 + [250] * 5 + [600] * 5, (16, 40, 100, 250, 600)),  # five kinds of objects
        ([15] * 9, (15, 24, 48, 96, 192)),  # coarser levels keep the smallest size that covers their grid
        ([3000.0], (64, 128, 256, 512, 1024)),  # objects that are larger than any anchor
        ([1.0], (12, 24, 48, 96, 192)),  # and smaller
    ],
)
def test_sizes_are_where_the_boxes_are(sides, sizes):
    assert fitted_sizes(np.array(sides, dtype=float), STRIDES) == sizes


def test_sizes_do_not_depend_on_the_order_of_boxes_and_fit_better_than_the_default():
    rng = np.random.default_rng(0)
    sides = 2 ** rng.normal(5.5, 1.0, 2000)
    sizes = fitted_sizes(sides, STRIDES)
    assert sizes == fitted_sizes(rng.permutation(sides), STRIDES) == tuple(sorted(sizes))

    def distance(anchors):
        return np.abs(np.log2(sides)[:, None] - np.log2(anchors)).min(axis=1).mean()

    assert distance(sizes) < 0.75 * distance((32, 64, 128, 256, 512))


def test_sides_are_in_pixels_of_the_input(tmp_path):
    truth = write_coco(tmp_path, 1)  # 80 x 60 pixels
    truth["annotations"][0]["bbox"] = [0, 0, 10, 40]
    truth["annotations"][1]["bbox"] = [0, 0, 10, 0]
    assert box_sides(truth, 160).tolist() == [40]


def test_the_task_fits_them_and_says_so(tmp_path, caplog):
    truth = write_coco(tmp_path, 6)
    with caplog.at_level(logging.INFO, "sightline"):
        model = load_task("instance_segmentation").fitted(AUTO, truth)
    assert model.anchor_sizes == fitted_sizes(box_sides(truth, 64), STRIDES)
    assert f"12 boxes of {min(box_sides(truth, 64)):.0f} to" in caplog.text
    assert ", ".join(map(str, model.anchor_sizes)) in caplog.text
    assert load_task("instance_segmentation").fitted(TINY_MODEL, truth) is TINY_MODEL


def test_without_boxes_the_default_is_used(tmp_path):
    truth = write_coco(tmp_path, 1)
    truth["annotations"] = []
    assert load_task("object_detection").fitted(AUTO, truth).anchor_sizes == (32, 64, 128, 256, 512)


def test_a_model_file_holds_the_fitted_sizes(tmp_path):
    task = load_task("instance_segmentation")
    model = task.fitted(AUTO, write_coco(tmp_path, 6))
    torch.manual_seed(0)
    save_model(tmp_path / "m.safetensors", task.build_network(model, 2), make_card(model))
    assert read_card(tmp_path / "m.safetensors").architecture.anchor_sizes == model.anchor_sizes
    assert load_predictor(tmp_path / "m.safetensors", "cpu").predict(draw(0)[0]).masks is not None


def test_auto_is_a_configuration_with_a_pyramid_of_five_levels():
    config = decode("instance_segmentation", ["data.classes=[cat]", "model.anchor_sizes=auto"])
    assert config.model.anchor_sizes == "auto"
    assert config.model.pyramid_levels == 5
    assert TINY_MODEL.pyramid_levels == 4


@pytest.mark.parametrize("sizes", ["auot", "[8, x]", "[0, 8]", "12"])
def test_other_values_are_refused_with_one_message(sizes):
    with raises(ConfigurationError, "model.anchor_sizes", "auto"):
        decode("instance_segmentation", ["data.classes=[cat]", f"model.anchor_sizes={sizes}"])
