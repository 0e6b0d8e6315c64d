"""The commands for Kubeflow."""
