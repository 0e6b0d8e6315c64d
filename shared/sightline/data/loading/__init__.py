"""Loads batches of a training set."""
