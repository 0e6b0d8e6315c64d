"""Is everything there that runs on Kubeflow stand on?"""
