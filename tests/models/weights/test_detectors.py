"""torchvision's detectors: their published weights give the same features and detections here."""

import re

import pytest
import torch
from torch.hub import set_dir
from torchvision.models import detection

from sightline.models.weights.initialize import load_weights
from sightline.models.weights.sources import detector_classes
from sightline.tasks.base import load_task
from sightline.tasks.instance_segmentation.settings import MaskDetector
from sightline.tasks.object_detection.settings import BoxDetector
from tests.models.weights.published import difference, publish, randomize

MASK = "MaskRCNN_ResNet50_FPN_Weights.COCO_V1"
FASTER = "FasterRCNN_ResNet50_FPN_Weights.COCO_V1"
FCOS = "FCOS_ResNet50_FPN_Weights.COCO_V1"
RETINANET = "RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1"
KEYPOINT = "KeypointRCNN_ResNet50_FPN_Weights.COCO_V1"
BUILDERS = {
    MASK: detection.maskrcnn_resnet50_fpn,
    FASTER: detection.fasterrcnn_resnet50_fpn,
    FCOS: detection.fcos_resnet50_fpn,
    RETINANET: detection.retinanet_resnet50_fpn_v2,
    KEYPOINT: detection.keypointrcnn_resnet50_fpn,
}
COCO = [name for name in detector_classes(MASK) if name != "N/A"]


def old_names(tensors):
    """The names in the files that torchvision published before its version 0.13."""
    renamed = {}
    for name, tensor in tensors.items():
        old = re.sub(r"(fpn\.\w+_blocks\.\d+)\.0\.", r"\1.", name).replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        old = re.sub(r"mask_head\.(\d+)\.0\.", lambda match: f"mask_head.mask_fcn{int(match[1]) + 1}.", old)
        renamed[old] = tensor
    return renamed


@pytest.fixture
def both(monkeypatch, tmp_path):
    """Publish weights, and load them with torchvision and with Sightline."""

    def load(name, task, model, classes, rename=dict):
        torch.manual_seed(0)
        tensors = randomize(BUILDERS[name](weights=None, weights_backbone=None)).state_dict()
        if "roi_heads.box_predictor.cls_score.weight" in tensors:
            tensors["roi_heads.box_predictor.cls_score.weight"].mul_(10)  # so that scores differ
            for label, known in enumerate(detector_classes(name), start=1):
                if known == "N/A":  # the softmax here is over the classes with a name
                    tensors["roi_heads.box_predictor.cls_score.bias"][label] = -100
        publish(monkeypatch, name, rename(tensors), tmp_path / "publisher")
        set_dir(str(tmp_path / "hub"))
        theirs = BUILDERS[name](weights=name.partition(".")[2], progress=False).eval()
        task = load_task(task)
        ours = task.build_network(model, len(classes)).eval()
        loaded = load_weights(ours, model, classes, task.class_rows, cache=tmp_path / "cache")
        assert loaded.source == name
        return theirs, ours, loaded

    before = torch.hub.get_dir()
    yield load
    set_dir(before)


@pytest.mark.parametrize(
    ("name", "task", "model", "rename"),
    [
        (MASK, "instance_segmentation", MaskDetector(), old_names),
        (FASTER, "object_detection", BoxDetector(), dict),
        (KEYPOINT, "object_detection", BoxDetector(weights=KEYPOINT), dict),
        (FCOS, "object_detection", BoxDetector(detector="fcos"), dict),
        (RETINANET, "object_detection", BoxDetector(detector="retinanet"), dict),
    ],
)
def test_features_are_those_of_torchvision(both, name, task, model, rename):
    theirs, ours, loaded = both(name, task, model, ["person", "plate"], rename)
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = theirs.backbone(images), ours.backbone(images)
    # torchvision's FCOS and RetinaNet have no level of stride 4: their first level is our second one.  The levels of
    # stride 64 and 128 are not the same.
    levels = {"0": "1", "1": "2", "2": "3"} if name in {FCOS, RETINANET} else {level: level for level in expected}
    for level, here in levels.items():
        assert found[here].shape == expected[level].shape
        # torchvision's RetinaNet has norms that are not frozen, and round in another way.
        assert difference(found[here], expected[level]) < (1e-5 if name == RETINANET else 1e-6)
    assert loaded.kept_classes == ("person",)
    new = set(loaded.named("re-initialized"))
    assert not any(name.startswith("backbone.body.") for name in new)
    if name in {FCOS, RETINANET}:
        assert {name.rpartition(".")[0] for name in new} == {
            "backbone.fpn.inner_blocks.0.0",
            "backbone.fpn.layer_blocks.0.0",
        }
    else:
        assert new == set()


def test_detections_are_those_of_torchvision(both, tmp_path):
    model = MaskDetector(score_threshold=0.02, max_detections=30)
    theirs, ours, loaded = both(MASK, "instance_segmentation", model, COCO)
    assert loaded.kept_classes == tuple(COCO)
    theirs.transform = ours.transform
    theirs.roi_heads.score_thresh, theirs.roi_heads.detections_per_img = 0.02, 30
    for pool in (theirs.roi_heads.box_roi_pool, theirs.roi_heads.mask_roi_pool):
        pool.sampling_ratio = 0  # of region pooling: adaptive here, 2 there
    image = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        (expected,), (found,) = theirs([image]), ours([image])
    assert len(expected["scores"]) == 30
    assert len(set(expected["labels"].tolist())) > 1
    categories = detector_classes(MASK)
    assert [COCO[label - 1] for label in found["labels"]] == [categories[label - 1] for label in expected["labels"]]
    for part in ("scores", "boxes", "masks"):
        assert difference(found[part], expected[part]) < 1e-5
    # A file of the publisher is recognized by its digest, whatever its name.
    (path,) = (tmp_path / "publisher").iterdir()
    path.rename(tmp_path / "mine.pth")
    task, model = load_task("instance_segmentation"), MaskDetector(weights=str(tmp_path / "mine.pth"))
    other = load_weights(ours, model, COCO, task.class_rows, cache=tmp_path / "unused")
    assert (other.source, other.kept_classes) == (model.weights, loaded.kept_classes)
    assert len(other.named("loaded")) == len(loaded.named("loaded"))
    assert not (tmp_path / "unused").exists()
