"""Runs on Kubeflow: start, find, resume and fetch them."""
