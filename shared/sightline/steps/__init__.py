"""The steps of the pipeline; each has run(config, ...) and is independent of Kubeflow."""
