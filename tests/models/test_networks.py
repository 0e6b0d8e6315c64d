"""Every family of bodies in every detector: it trains, its model file predicts what it predicts, and it is exported."""

import numpy as np
import pytest
import torch

from sightline.models.model_file import save_model
from sightline.prediction.exporting import export_model
from sightline.tasks.base import load_predictor, load_task
from sightline.tasks.object_detection.settings import BoxDetector
from tests.overfitting import overfit
from tests.squares import TINY_MODEL, draw, make_card, make_dataset, write_coco

CPU = torch.device("cpu")
SMALL = {
    "resnet": "timm:test_resnet",
    "convnext": "timm:test_convnext",
    "efficientnet": "timm:test_efficientnet",
    "mobilenetv4": "timm:mobilenetv4_conv_small_035",
}
FULL = (
    "resnet18",
    "resnet50",
    "timm:swin_tiny_patch4_window7_224",
    "timm:convnext_tiny",
    "timm:efficientnet_b0",
    "timm:mobilenetv4_conv_medium",
)
DETECTORS = ("mask_rcnn", "faster_rcnn", "fcos", "retinanet", "ssdlite")


def settings(detector, body):
    """Task and settings of a network."""
    model = TINY_MODEL.model_copy(update={"backbone": body, "fpn_channels": 32})
    if detector == "mask_rcnn":
        return "instance_segmentation", model
    values = model.model_dump(include=set(BoxDetector.model_fields))
    return "object_detection", BoxDetector(**values | {"detector": detector})


def build(detector, body):
    name, model = settings(detector, body)
    torch.manual_seed(0)
    task = load_task(name)
    return task, task.build_network(model, 2), make_card(model, task=name)


def require_training_and_round_trip(detector, body, folder):
    """Every parameter has a gradient, and the file of the changed network predicts what the network predicts."""
    task, network, card = build(detector, body)
    dataset = make_dataset(folder)
    losses = task.losses(network.train(), [dataset.sample(0, 1), dataset.sample(1, 1)], CPU)
    sum(losses.values()).backward()
    missing = [name for name, one in network.named_parameters() if one.grad is None or not one.grad.isfinite().all()]
    assert missing == []
    torch.optim.SGD(network.parameters(), lr=1e-3).step()
    save_model(folder / "m.safetensors", network, card)
    image = draw(0)[0]
    expected = task.predictor(network, card, CPU).predict(image)
    found = load_predictor(folder / "m.safetensors", "cpu").predict(image)
    assert np.array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    assert np.array_equal(found.scores, expected.scores)
    assert found.masks == expected.masks


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("family", SMALL)
def test_a_small_body_trains_and_its_file_predicts_the_same(detector, family, tmp_path):
    require_training_and_round_trip(detector, SMALL[family], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("body", FULL)
def test_a_full_body_trains_in_every_detector(body, tmp_path):
    for detector in DETECTORS:
        (tmp_path / detector).mkdir()
        require_training_and_round_trip(detector, body, tmp_path / detector)


@pytest.mark.slow
@pytest.mark.parametrize("body", [*SMALL.values(), "timm:swin_tiny_patch4_window7_224"])
def test_a_body_is_exported(body, tmp_path):
    _, network, card = build("mask_rcnn", body)
    for parameter in network.roi_heads.box_predictor.parameters():
        parameter.data *= 6  # scores that differ from each other
    save_model(tmp_path / "m.safetensors", network, card)
    exported = export_model(tmp_path / "m.safetensors", tmp_path / "m.onnx", "onnx")
    assert exported.parity.holds
    assert exported.parity.detections > 10
    assert exported.header.canvas == ((64, 64) if "swin" in body else None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "iterations", "learning_rate"),
    [
        (SMALL["convnext"], 80, 3e-3),
        (SMALL["efficientnet"], 110, 3e-3),
        (SMALL["mobilenetv4"], 120, 3e-3),
        ("timm:swin_tiny_patch4_window7_224", 80, 5e-4),
    ],
)
def test_a_body_learns_one_batch_by_heart(body, iterations, learning_rate, tmp_path):
    task, network, card = build("mask_rcnn", body)
    document, dataset = write_coco(tmp_path, 2), make_dataset(tmp_path, 2, augmentation=())
    first, last = overfit(task, network, dataset, iterations, learning_rate)
    assert last < first / 3
    predictor = task.predictor(network, card, CPU)
    metrics = task.evaluate(document, [predictor.predict(draw(index)[0], index + 1) for index in range(2)])
    assert min(metrics["box_AP50"], metrics["mask_AP50"]) >= 0.99
