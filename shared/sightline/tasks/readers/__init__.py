"""Readers, which extract structured text from detections."""
