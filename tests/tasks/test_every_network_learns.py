"""Every network learns images by heart: its loss falls below a tenth, and it predicts what is in them."""

from dataclasses import replace

import pytest
from PIL import Image

from sightline.data.loading.dataset import CocoDataset
from sightline.tasks.base import load_task
from sightline.tasks.detection.transformer_settings import RfDetr
from tests.classified import NETWORKS as CLASSIFIERS
from tests.classified import SEVERAL
from tests.every_network import NETWORKS, TinyNetwork, shrink_rfdetr
from tests.overfitting import CPU, overfit
from tests.squares import TINY_TRAIN

RESNET = TinyNetwork("classification", CLASSIFIERS["resnet"], "of torchvision", SEVERAL)
PACE = {
    "instance_segmentation/MaskDetector": (300, 4e-3),
    "instance_segmentation/rfdetr": (160, 5e-4),
    "object_detection/faster_rcnn": (250, 4e-3),
    "object_detection/fcos": (160, 4e-3),
    "object_detection/retinanet": (80, 3e-3),
    "object_detection/ssdlite": (60, 1e-2),
    "object_detection/rfdetr": (110, 5e-4),
    "keypoints/KeypointDetector": (400, 4e-3),
    "keypoints/heatmap with deconvolutions": (200, 4e-3),
    "keypoints/heatmap with HRNet": (80, 2e-3),
    "classification/timm": (60, 3e-3),
    "classification/timm with label sets": (60, 3e-3),
    "classification/timm of torchvision": (60, 3e-3),
    "classification/cnn": (60, 3e-3),
    "classification/tiny_vgg": (60, 3e-3),
    "classification/poster": (60, 3e-3),
}
"""Iterations and highest learning rate; a network without an entry fails its test."""

IMAGES = 8
FEWER_IMAGES = 2
"""For RF-DETR: each of its iterations takes several times as long, and it needs many more of them."""

FALL = {"object_detection/fcos": 4, "instance_segmentation/rfdetr": 4, "object_detection/rfdetr": 4}
"""How often the last loss has to be in the first one, if it is not ten times.

The cross entropy of FCOS's centerness, whose targets are fractions, cannot become zero.
"""

LEARNED = {"box_AP50": 0.99, "mask_AP50": 0.99, "keypoint_AP50": 0.9, "accuracy": 1.0, "joint_accuracy": 1.0}


def with_common_threshold(model):
    """The settings with the default score threshold, if they have one."""
    field = type(model).model_fields.get("score_threshold")
    return model.model_copy(update={"score_threshold": field.default}) if field else model


@pytest.mark.slow
@pytest.mark.parametrize("tiny", [*NETWORKS, RESNET], ids=str)
def test_a_network_learns_images_by_heart(tiny, tmp_path, monkeypatch):
    tiny.require_package()
    shrink_rfdetr(monkeypatch)
    document = tiny.write_coco(tmp_path, FEWER_IMAGES if isinstance(tiny.model, RfDetr) else IMAGES)
    options = {"image_size": tiny.model.image_size, "max_pixels": 10**6, "augmentation": (), "seed": 0}
    dataset = CocoDataset(document, tmp_path, loading=TINY_TRAIN, **options)
    task, (network, card) = load_task(tiny.task), replace(tiny, model=with_common_threshold(tiny.model)).build(document)
    first, last = overfit(task, network, dataset, *PACE[str(tiny)])
    assert last < first / FALL.get(str(tiny), 10)
    predictor = task.predictor(network, card, CPU).for_split(document)
    pictures = [Image.open(tmp_path / one["file_name"]).convert("RGB") for one in document["images"]]
    found = predictor.predict_batch(pictures, [one["id"] for one in document["images"]])
    metrics = task.evaluate(document, found)
    known = LEARNED.keys() & metrics.keys()
    assert known
    assert {name: metrics[name] for name in known if metrics[name] < LEARNED[name]} == {}
