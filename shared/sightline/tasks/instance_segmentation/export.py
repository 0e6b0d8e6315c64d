"""The graph of Mask R-CNN for export."""

from __future__ import annotations

from sightline.tasks.detection.graph.choice import detector_graph as export_graph
from sightline.tasks.detection.parity import compare

__all__ = ["compare", "export_graph"]
