"""Keypoints of objects: Keypoint R-CNN, and a top-down network that predicts heat maps."""
