"""Metrics: pure functions of truth and predictions."""
