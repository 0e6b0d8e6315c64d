"""One run's life, on this machine or on Kubeflow."""
