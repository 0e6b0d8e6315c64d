"""Checks of everything that a run on Kubeflow requires."""
