"""Chooses the graph for a detector."""

from __future__ import annotations

from torch import nn
from torchvision.models.detection.faster_rcnn import FasterRCNN
from torchvision.models.detection.fcos import FCOS

from sightline.errors import ConfigurationError
from sightline.tasks.detection.graph.single_stage import SingleStageGraph
from sightline.tasks.detection.graph.suppression import suppress, suppress_in_onnx
from sightline.tasks.detection.graph.transformer import TransformerGraph
from sightline.tasks.detection.graph.two_stages import TwoStageGraph
from sightline.tasks.detection.transformer import TransformerDetector
from sightline.tasks.exporters import ExportFormat


def detector_graph(network: nn.Module, format_: ExportFormat) -> TwoStageGraph | SingleStageGraph | TransformerGraph:
    """The graph of a detector; see :data:`sightline.tasks.exporters.GRAPHS`.

    Raises:
        ConfigurationError: The detector cannot be exported.
    """
    suppression = suppress_in_onnx if format_ == "onnx" else suppress
    if isinstance(network, FasterRCNN):
        return TwoStageGraph(network, suppression).eval()
    if isinstance(network, FCOS):
        return SingleStageGraph(network, suppression).eval()
    if isinstance(network, TransformerDetector):
        return TransformerGraph(network).eval()
    raise ConfigurationError(
        f"a network of type {type(network).__name__} cannot be exported; export supports Faster R-CNN, Mask R-CNN, "
        "FCOS and RF-DETR"
    )
