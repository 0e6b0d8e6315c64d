"""Connections to a cluster and its Kubeflow."""
