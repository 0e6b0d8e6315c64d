"""Runs on Kubeflow: started, found, resumed, fetched."""
