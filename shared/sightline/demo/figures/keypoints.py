"""The keypoints of a figure, for ``data.keypoints`` of a recipe."""

from __future__ import annotations

LABEL = "figure"
"""The class of the polygons."""

_PAIRED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")

FLIP_PAIRS = tuple((f"left_{part}", f"right_{part}") for part in _PAIRED)
"""Keypoints that become each other in a mirrored image; left and right are those of the figure, not of the image."""

NAMES = ("nose", *(name for pair in FLIP_PAIRS for name in pair))
"""The names in their order, those of COCO without eyes and ears."""

SKELETON = (
    ("nose", "left_shoulder"),
    ("nose", "right_shoulder"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)
"""Pairs of keypoints to connect in drawings."""
