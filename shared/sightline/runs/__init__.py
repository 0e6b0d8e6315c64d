"""The life cycle of a run, on this machine or on Kubeflow."""
