"""Measuring and comparing models on a split."""
