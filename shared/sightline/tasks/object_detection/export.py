"""The graph of Faster R-CNN or FCOS for export."""

from __future__ import annotations

from sightline.tasks.detection.graph.choice import detector_graph as export_graph

__all__ = ["export_graph"]
