import numpy as np
import pytest
import torch

from sightline.data.detections import Detections
from sightline.errors import ConfigurationError
from sightline.tasks.base import load_task
from tests.golden import raises
from tests.squares import TINY_MODEL, make_card, make_dataset, write_coco

CPU = torch.device("cpu")


@pytest.fixture
def task():
    return load_task("instance_segmentation")


def test_an_unknown_task_names_the_known():
    with raises(ConfigurationError, "captioning", "instance_segmentation"):
        load_task("captioning")


def test_losses_have_names_and_gradients(task, tmp_path):
    torch.manual_seed(0)
    network = task.build_network(TINY_MODEL, 2).train()
    dataset = make_dataset(tmp_path)
    losses = task.losses(network, [dataset.sample(0, 1), dataset.sample(1, 1)], CPU)
    assert set(losses) == {"classifier", "box_reg", "mask", "objectness", "rpn_box_reg"}
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_evaluation_gives_cocos_metrics(task, tmp_path):
    truth = write_coco(tmp_path, 2)
    found = []
    for image in truth["images"]:
        mine = [annotation for annotation in truth["annotations"] if annotation["image_id"] == image["id"]]
        boxes = np.array([annotation["bbox"] for annotation in mine], dtype=np.float32)
        boxes[:, 2:] += boxes[:, :2]
        ids = np.array([annotation["category_id"] for annotation in mine])
        from sightline.data.rasterizer import encode_mask, rasterize

        masks = [encode_mask(rasterize(annotation["segmentation"], 60, 80)) for annotation in mine]
        found.append(Detections(image["id"], boxes, np.full(len(mine), 0.9, np.float32), ids, masks))
    values = task.evaluate(truth, found)
    assert values["box_AP"] == pytest.approx(1)
    assert values["mask_AP50"] == pytest.approx(1)


def test_the_predictor_keeps_the_card(task):
    assert task.predictor(task.build_network(TINY_MODEL, 2), make_card(), CPU).card == make_card()
