"""How a run on Kubeflow stands."""
