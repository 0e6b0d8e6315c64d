"""Checks of everything that runs on Kubeflow require."""
