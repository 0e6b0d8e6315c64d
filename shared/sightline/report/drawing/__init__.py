"""Detections drawn on images."""
