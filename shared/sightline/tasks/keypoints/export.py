"""The graphs of keypoint networks for export."""

from __future__ import annotations

from torch import nn

from sightline.tasks.detection.graph.suppression import suppress, suppress_in_onnx
from sightline.tasks.detection.parity import compare
from sightline.tasks.exporters import ExportFormat
from sightline.tasks.keypoints.graphs import CropGraph, KeypointGraph
from sightline.tasks.keypoints.heatmap_network import KeypointMaps

__all__ = ["compare", "export_graph"]


def export_graph(network: nn.Module, format_: ExportFormat) -> KeypointGraph | CropGraph:
    """The graph of a network; see :data:`sightline.tasks.exporters.GRAPHS`."""
    if isinstance(network, KeypointMaps):
        return CropGraph(network).eval()
    return KeypointGraph(network, suppress_in_onnx if format_ == "onnx" else suppress).eval()
