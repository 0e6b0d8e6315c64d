"""Every network of every task, as small as its settings allow: what the tests of all networks are parametrized with."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import get_args

import pytest
import timm
import torch

from sightline.config.data import Data
from sightline.config.network import Network
from sightline.config.task_declarations import task_declaration, task_names
from sightline.models.weights.sources import Download, full_name
from sightline.models.weights.stored import file_name, store
from sightline.tasks.base import load_task
from sightline.tasks.classification.settings import TimmClassifier
from sightline.tasks.detection.transformer_settings import RfDetr
from sightline.tasks.keypoints.settings import HeatmapNetwork
from sightline.tasks.object_detection.settings import BoxDetector
from tests import arrows, classified, squares
from tests.models.weights.published import randomize
from tests.squares import TINY_MODEL
from tests.tasks import tiny_rfdetr

_BOXES = {name: getattr(TINY_MODEL, name) for name in BoxDetector.model_fields if name != "detector"}
_SURE = {"score_threshold": 0.01, "max_detections": 20}
"""A network that has hardly been trained gives low scores."""


@dataclass(frozen=True)
class TinyNetwork:
    """A network with settings that make it small.

    Attributes:
        task: Name of the task.
        model: The section ``model``, with random weights.
        variant: What tells it apart from other networks with the same name; empty: nothing.
        sets: Label sets of a classifier.
    """

    task: str
    model: Network
    variant: str = ""
    sets: Mapping = None

    def __str__(self):
        return f"{self.network} {self.variant}".strip()

    @property
    def network(self):
        """The task and the name of the network, as in :func:`registered_networks`."""
        names = network_names(type(self.model))
        chosen = {getattr(self.model, field, None) for field in ("detector", "network")}
        return f"{self.task}/{next((name for name in names if name in chosen), names[0])}"

    @property
    def data(self):
        """The section ``data``."""
        if self.task == "keypoints":
            return arrows.DATA
        if self.task != "classification":
            return Data(repository="data", classes=squares.CLASSES)
        if len(self.sets) == 1:
            return Data(repository="data", classes=classified.class_names(self.sets))
        sets = {name: {"classes": tuple(classes), "multiple": many} for name, (classes, many) in self.sets.items()}
        return Data(repository="data", label_sets=sets)

    def write_coco(self, root, images, first=0):
        """Draw images into ``root`` and give their COCO document."""
        if self.task == "classification":
            return classified.write_coco(root, images, first, self.sets)
        return (arrows if self.task == "keypoints" else squares).write_coco(root, images, first)

    def card(self, model):
        """What a model file of the network says."""
        if self.task == "classification":
            return classified.make_card(model, self.sets)
        return arrows.card_of(model) if self.task == "keypoints" else squares.make_card(model, task=self.task)

    def build(self, document):
        """The network with random weights, and its card, as training does it."""
        task = load_task(self.task)
        model = task.fitted(self.model, document)
        torch.manual_seed(0)
        return task.build_network(model, len(self.data.classes)), self.card(model)

    def require_package(self):
        """Skip without the package of the network."""
        if isinstance(self.model, RfDetr):
            tiny_rfdetr.require_rfdetr()


def _detector(name):
    return BoxDetector(**_BOXES | _SURE | {"detector": name, "fpn_channels": 32})


def _heatmap(**changes):
    return HeatmapNetwork(**arrows.HEATMAP.model_dump() | changes)


_RFDETR = {"image_size": 64, "score_threshold": 0.001}

NETWORKS = [
    TinyNetwork("instance_segmentation", TINY_MODEL.model_copy(update=_SURE)),
    TinyNetwork("instance_segmentation", tiny_rfdetr.settings("instance_segmentation", **_RFDETR)),
    *(TinyNetwork("object_detection", _detector(name)) for name in ("faster_rcnn", "fcos", "retinanet", "ssdlite")),
    TinyNetwork("object_detection", tiny_rfdetr.settings("object_detection", **_RFDETR)),
    TinyNetwork("keypoints", arrows.DETECTOR.model_copy(update=_SURE)),
    TinyNetwork("keypoints", arrows.HEATMAP, "with deconvolutions"),
    TinyNetwork("keypoints", _heatmap(backbone="hrnet_w18_small"), "with HRNet"),
    TinyNetwork("classification", classified.NETWORKS["timm"], sets=classified.ONE_SET),
    TinyNetwork(
        "classification",
        TimmClassifier(backbone="test_resnet", weights="none", image_size=64),
        "with label sets",
        classified.SEVERAL,
    ),
    *(
        TinyNetwork("classification", classified.NETWORKS[name], sets=classified.SEVERAL)
        for name in ("cnn", "tiny_vgg", "poster")
    ),
]
"""One entry for each of :func:`registered_networks`, or several that differ in their variant."""

each_network = pytest.mark.parametrize("tiny", NETWORKS, ids=str)


def network_names(settings):
    """The names of the networks that have a class of settings: the choices of its field, or else its own name."""
    for field in ("detector", "network"):
        if field in settings.model_fields:
            return get_args(settings.model_fields[field].annotation)
    return (settings.__name__,)


def registered_networks():
    """All networks that the tasks declare, as ``task/name``."""
    return {
        f"{task}/{name}"
        for task in task_names()
        for settings in task_declaration(task).networks
        for name in network_names(settings)
    }


def shrink_rfdetr(monkeypatch):
    """Let RF-DETR be small, if its package is installed."""
    if find_spec("rfdetr"):
        tiny_rfdetr.shrink(monkeypatch)


def publish(tiny, mirror):
    """Put weights of the network into a mirror, as its publisher offers them: their name and tensors.

    The name is empty if nothing is published for the network.
    """
    if not tiny.model.published_weights:
        return "", {}
    name = full_name(tiny.model.published_weights)
    torch.manual_seed(7)
    if isinstance(tiny.model, RfDetr):
        network = load_task(tiny.task).build_network(tiny.model, 2).network
    else:
        network = timm.create_model(tiny.model.backbone.removeprefix("timm:"))
    tensors = randomize(network).state_dict()
    files = [mirror / file_name(name, ending) for ending in (".safetensors", ".json")]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    if not files[1].exists():
        store(*files, name, Download(tensors, "https://publisher.example/weights", "0" * 64))
    return name, tensors
