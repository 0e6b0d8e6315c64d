"""Kubeflow Pipelines and its cluster, from outside: upload, run, watch, resume, fetch.

Both are spoken to by their REST interfaces: importing the two official clients takes longer than most commands here.
"""
