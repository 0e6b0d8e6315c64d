"""The status of runs on Kubeflow."""
