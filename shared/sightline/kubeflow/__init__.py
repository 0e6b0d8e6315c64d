"""Kubeflow Pipelines and its cluster, seen from outside: upload, run, watch, resume, fetch.

All requests go through the packages ``kubernetes`` and ``kfp_server_api``; see :mod:`sightline.kubeflow.client`.
"""
