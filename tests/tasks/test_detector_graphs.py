"""The graphs for export predict what torchvision's detectors predict, whole batches at once."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import batched_nms

from sightline.errors import ConfigurationError
from sightline.tasks.base import load_task
from sightline.tasks.detection.graph.suppression import suppress, suppress_in_onnx
from sightline.tasks.exporters import export_graph
from sightline.tasks.object_detection.settings import BoxDetector
from tests.golden import raises
from tests.squares import TINY_MODEL

FORMATS = ("onnx", "torch_export")
BOXES = BoxDetector(**TINY_MODEL.model_dump(include=set(BoxDetector.model_fields)))
NETWORKS = {
    "mask_rcnn": ("instance_segmentation", TINY_MODEL),
    "coarser_level": ("instance_segmentation", TINY_MODEL.model_copy(update={"anchor_sizes": (8, 16, 32, 64, 96)})),
    "faster_rcnn": ("object_detection", BOXES),
    **{
        name: ("object_detection", BOXES.model_copy(update={"detector": name, "fpn_channels": 32}))
        for name in ("fcos", "retinanet", "ssdlite")
    },
}


def sure(network):
    """Make the scores of an untrained network differ from each other."""
    for name, parameter in network.named_parameters():
        if any(part in name for part in ("box_predictor", "cls_logits", "classification_head.module_list")):
            parameter.data *= 6
        if name.endswith("classification_head.cls_logits.bias"):
            parameter.data.fill_(-1)
    return network.eval()


def build(name, **changes):
    task, model = NETWORKS[name]
    torch.manual_seed(0)
    model = model.model_copy(update={"score_threshold": 0.3, "max_detections": 30} | changes)
    return task, sure(load_task(task).build_network(model, 2))


def on_a_canvas(images):
    height, width = (max(-(-image.shape[side] // 32) * 32 for image in images) for side in (1, 2))
    batch = torch.full((len(images), 3, height, width), 99, dtype=torch.uint8)  # the padding must not matter
    for row, image in zip(batch, images, strict=True):
        row[:, : image.shape[1], : image.shape[2]] = image
    return batch, torch.tensor([image.shape[1:] for image in images])


def noise(*sizes):
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("sizes", [[(64, 48)], [(7, 64), (96, 33), (64, 64)]], ids=str)
def test_a_graph_predicts_what_the_detector_predicts(name, format_, sizes):
    task, detector = build(name)
    images = noise(*sizes)
    graph = export_graph(task, detector, format_)
    with torch.inference_mode():
        expected, outputs = detector(images), graph(*on_a_canvas(images))
    found = dict(zip(graph.outputs, outputs, strict=True))
    assert ("masks" in found) == (task == "instance_segmentation")
    for index, one in enumerate(expected):
        count = len(one["scores"])
        assert 5 < count == (found["scores"][index] > 0).sum()
        assert torch.allclose(found["scores"][index, :count], one["scores"], atol=1e-6)
        assert torch.allclose(found["boxes"][index, :count], one["boxes"], atol=1e-4)
        assert torch.equal(found["labels"][index, :count], one["labels"])
        if "masks" in found:
            assert torch.allclose(found["masks"][index, :count], one["masks"][:, 0], atol=1e-5)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", ["mask_rcnn", "fcos", "retinanet", "ssdlite"])
def test_an_image_without_detections_is_all_zeros(name, format_):
    task, detector = build(name, score_threshold=1.0)
    graph = export_graph(task, detector, format_)
    with torch.inference_mode():
        outputs = graph(*on_a_canvas(noise((64, 64))))
    assert [output.shape[:2] for output in outputs] == [(1, 30)] * len(outputs)
    assert not any(output.any() for output in outputs[:3])


@pytest.mark.parametrize("suppression", [suppress, suppress_in_onnx])
def test_suppression_is_torchvisions_for_every_group_and_class(suppression):
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 30, (3, 50, 2))
    boxes = torch.from_numpy(np.concatenate([low, low + generator.uniform(5, 20, (3, 50, 2))], -1).astype(np.float32))
    scores = torch.from_numpy(generator.random((3, 2, 50)).astype(np.float32) - 0.2)
    kept = suppression(boxes, scores, 0.4)
    for group in range(3):
        for class_ in range(2):
            usable = torch.nonzero(scores[group, class_] >= 0).squeeze(1)
            ours = torch.nonzero(kept[group, class_]).squeeze(1)
            one = torch.zeros(len(usable), dtype=torch.int64)
            theirs = usable[batched_nms(boxes[group, usable], scores[group, class_, usable], one, 0.4)]
            assert 0 < len(theirs) < len(usable) < 50
            assert ours.tolist() == sorted(theirs.tolist())


def test_other_networks_are_refused():
    with raises(ConfigurationError, "Linear"):
        export_graph("object_detection", nn.Linear(1, 1), "onnx")


def test_the_first_image_does_not_decide_how_regions_are_pooled():
    """torchvision derives the strides of the pyramid from the first images, here from 5 rows padded to 32."""
    _, first = build("mask_rcnn")
    _, second = build("mask_rcnn")
    (image,) = noise((64, 48))
    with torch.inference_mode():
        first(noise((5, 64)))
        (one,), (other,) = first([image]), second([image])
    assert torch.equal(one["scores"], other["scores"])
