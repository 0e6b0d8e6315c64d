"""Chooses the graph for a detector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torchvision.models.detection.faster_rcnn import FasterRCNN
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.models.detection.ssd import SSD

from sightline.errors import ConfigurationError
from sightline.tasks.detection.graph.single_shot import SingleShotGraph
from sightline.tasks.detection.graph.single_stage import FcosGraph, RetinaNetGraph
from sightline.tasks.detection.graph.suppression import Suppression, suppress, suppress_in_onnx
from sightline.tasks.detection.graph.transformer import TransformerGraph
from sightline.tasks.detection.graph.two_stages import TwoStageGraph
from sightline.tasks.detection.transformer import TransformerDetector
from sightline.tasks.exporters import ExportFormat

_GRAPHS: tuple[tuple[type[nn.Module], Callable[[Any, Suppression], nn.Module]], ...] = (
    (FasterRCNN, TwoStageGraph),
    (FCOS, FcosGraph),
    (RetinaNet, RetinaNetGraph),
    (SSD, SingleShotGraph),
    (TransformerDetector, lambda network, _: TransformerGraph(network)),
)


def detector_graph(network: nn.Module, format_: ExportFormat) -> nn.Module:
    """The graph of a detector; see :data:`sightline.tasks.exporters.GRAPHS`.

    Raises:
        ConfigurationError: The detector cannot be exported.
    """
    suppression = suppress_in_onnx if format_ == "onnx" else suppress
    for kind, graph in _GRAPHS:
        if isinstance(network, kind):
            return graph(network, suppression).eval()
    raise ConfigurationError(
        f"a network of type {type(network).__name__} cannot be exported; export supports Faster R-CNN, Mask R-CNN, "
        "FCOS, RetinaNet, SSDlite and RF-DETR"
    )
