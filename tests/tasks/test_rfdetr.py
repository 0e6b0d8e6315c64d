"""RF-DETR as a second family of networks for detection and segmentation."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from sightline.config.decode import decode, from_json, recipe_document
from sightline.config.digest import config_digest
from sightline.errors import ConfigurationError
from sightline.models.model_file import read_card, save_model
from sightline.tasks.base import load_predictor, load_task
from sightline.tasks.detection.transformer_settings import RfDetr
from sightline.tasks.exporters import export_graph
from sightline.tasks.instance_segmentation.settings import MaskDetector
from tests.golden import raises
from tests.squares import draw, make_card, make_dataset, write_coco

CPU = torch.device("cpu")
MODEL = RfDetr(weights="none", image_size=96, score_threshold=0.0, max_detections=20)
TASKS = ("object_detection", "instance_segmentation")
CLASSES = "data.classes=[cat]"


def require_rfdetr():
    """Skip without the package; importing it here would raise Pillow's limit for all tests."""
    if find_spec("rfdetr") is None:
        pytest.skip("rfdetr is not installed")


@pytest.mark.parametrize("task", TASKS)
def test_it_is_chosen_by_name(task, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"task: {task}\nmodel: {{network: rfdetr, size: small, weights: none}}\n")
    config = decode(str(recipe), [CLASSES])
    assert isinstance(config.model, RfDetr)
    assert config.model.size == "small"
    larger = decode(str(recipe), [CLASSES, "model.size=large"])
    assert config_digest("train", config) != config_digest("train", larger)
    assert recipe_document(str(recipe))["model"]["max_detections"] == 100
    assert from_json(config.model_dump_json()) == config


def test_left_out_it_is_the_network_of_before():
    assert type(decode("instance_segmentation", [CLASSES]).model) is MaskDetector


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model={network: yolo}", "rfdetr"),
        ("model={network: rfdetr, size: giant}", "model.size"),
        ("model={network: rfdetr, fpn_channels: 64}", "model.fpn_channels"),
    ],
)
def test_settings_that_it_does_not_have_are_refused(override, named, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("task: object_detection\ntrain: {best_metric: box_AP}\nevaluate: {select_by: [box_AP]}\n")
    with raises(ConfigurationError, named):
        decode(str(recipe), [CLASSES, override])


@pytest.fixture(scope="module", params=TASKS)
def trained(request, tmp_path_factory):
    """Task, network and folder, after one training step on two images, one of them without objects."""
    require_rfdetr()
    folder = tmp_path_factory.mktemp("rfdetr")
    task = load_task(request.param)
    torch.manual_seed(0)
    network = task.build_network(MODEL, 2).train()
    dataset = make_dataset(folder, 2, augmentation=())
    full, empty = dataset.sample(0, 1), dataset.sample(1, 1)
    empty = replace(empty, labels=empty.labels[:0], boxes_xyxy=empty.boxes_xyxy[:0], segmentations=[])
    losses = task.losses(network, [full, empty], CPU)
    sum(losses.values()).backward()
    torch.optim.SGD(network.parameters(), lr=1e-3).step()
    return task, network, folder, losses


@pytest.mark.slow
def test_it_is_trained_by_the_losses_of_its_criterion(trained):
    task, network, _, losses = trained
    masks = {"mask_ce", "mask_dice"} if task.name == "instance_segmentation" else set()
    assert set(losses) == {"ce", "bbox", "giou"} | masks
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    without = [name for name, one in network.named_parameters() if one.grad is None]
    assert without == ["network.backbone.0.encoder.encoder.embeddings.mask_token"]  # for pretraining of DINOv2 only


@pytest.mark.slow
def test_its_model_file_predicts_what_it_predicts(trained):
    task, network, folder, _ = trained
    save_model(folder / "m.safetensors", network, make_card(MODEL, task=task.name))
    assert read_card(folder / "m.safetensors").architecture == MODEL
    image, _ = draw(0)
    expected = task.predictor(network, make_card(MODEL, task=task.name), CPU).predict(image)
    found = load_predictor(folder / "m.safetensors", "cpu").predict(image)
    assert len(found) >= 1
    assert np.array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    assert found.masks == expected.masks
    assert set(found.category_ids.tolist()) <= {1, 2}
    assert (found.masks is None) == (task.name == "object_detection")
    assert set(
        task.evaluate(write_coco(folder, 1), [load_predictor(folder / "m.safetensors", "cpu").predict(image, 1)])
    )


@pytest.mark.slow
def test_its_export_is_refused(trained):
    task, network, _, _ = trained
    with pytest.raises(ConfigurationError, match="cannot be exported"):
        export_graph(task.name, network, "onnx")


def test_the_package_does_not_raise_the_limit_for_images():
    program = (
        "from PIL import Image\nfrom tests.tasks.test_rfdetr import MODEL\n"
        "from sightline.tasks.detection.transformer import load_transformer\n"
        "limit = Image.MAX_IMAGE_PIXELS\nload_transformer(MODEL, 1, masks=False)\n"
        "assert Image.MAX_IMAGE_PIXELS == limit\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
