"""Boxes keep their precision when the network computes with half of it."""

from functools import partial

import pytest
import torch

from sightline.tasks.instance_segmentation.network import build_detector as build_mask_detector
from sightline.tasks.object_detection.network import build_detector as build_box_detector
from sightline.tasks.object_detection.settings import BoxDetector
from tests.squares import TINY_MODEL

BOXES = {"image_size": 1024, "anchor_sizes": (32, 64, 128, 256), "fpn_channels": 32}


def build_boxes(name):
    return build_box_detector(BoxDetector(backbone="timm:test_resnet", detector=name, **BOXES), 2)


NETWORKS = {
    "mask_rcnn": lambda: build_mask_detector(TINY_MODEL.model_copy(update=BOXES), 2),
    "faster_rcnn": lambda: build_box_detector(BoxDetector(backbone="timm:test_resnet", **BOXES), 2),
    **{name: partial(build_boxes, name) for name in ("fcos", "retinanet", "ssdlite")},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_coordinates_of_large_images_are_not_rounded_to_multiples_of_four(name):
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    if name == "retinanet":  # at first, its probabilities are below the threshold
        torch.nn.init.zeros_(network.head.classification_head.cls_logits.bias)
    if name == "fcos":  # at first, most distances to its points are zero, and the points are multiples of four
        torch.nn.init.constant_(network.head.regression_head.bbox_reg.bias, 0.37)
    image = torch.randint(0, 256, (3, 1024, 1024), dtype=torch.uint8)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        (found,) = network([image])
    assert found["boxes"].dtype is torch.float32
    far = found["boxes"][(found["boxes"] > 520) & (found["boxes"] < 1000)]
    assert len(far) > 20
    assert (far % 4 != 0).float().mean() > 0.9


@pytest.mark.parametrize("name", NETWORKS)
def test_anchors_of_large_images_are_not_rounded(name):
    network = NETWORKS[name]()
    generator = network.rpn.anchor_generator if hasattr(network, "rpn") else network.anchor_generator
    seen = []
    generator.register_forward_hook(lambda module, inputs, anchors: seen.append(anchors[0]))
    image = torch.zeros((3, 1024, 1024), dtype=torch.uint8)
    for enabled in (False, True):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            network.eval()([image])
    assert torch.equal(seen[0], seen[1])
    assert len(seen[0].unique()) > 256
