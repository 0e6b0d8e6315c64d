"""Speaking to a cluster and its Kubeflow."""
