"""Readers: structured text from detections."""
