"""The graph of a detector of boxes for export."""

from __future__ import annotations

from sightline.tasks.detection.graph.choice import detector_graph as export_graph

__all__ = ["export_graph"]
