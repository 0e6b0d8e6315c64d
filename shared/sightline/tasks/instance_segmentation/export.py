"""The graph of Mask R-CNN for export."""

from __future__ import annotations

from sightline.tasks.detection.graph.choice import detector_graph as export_graph

__all__ = ["export_graph"]
