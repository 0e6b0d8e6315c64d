"""The steps of the pipeline; each has run(config, ...) and knows nothing of Kubeflow."""
