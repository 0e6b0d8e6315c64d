"""The process of a task: its run, and the setup of its pod."""

from __future__ import annotations

import os
from pathlib import Path

from sightline.logs import configure_logging

GOOGLE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"


def current_run_id() -> str:
    """The id of the run that this process belongs to; empty if there is none."""
    return os.environ.get("SIGHTLINE_RUN_ID", "")


def current_run_name() -> str:
    """The name of that run on Kubeflow; empty if unknown.

    Back ends that do not support ``{{$.pipeline_job_name}}`` pass on that text unchanged.
    """
    name = os.environ.get("SIGHTLINE_RUN_NAME", "")
    return "" if name.startswith("{{") else name


def prepare_pod() -> None:
    """Configure logging, and use the key file of Google Storage in ``SIGHTLINE_STORAGE_KEY``, if it is mounted.

    Without the file, Google's default credentials are used, such as workload identity; Google's own variable must not
    refer to a missing file.
    """
    configure_logging()
    key = os.environ.get("SIGHTLINE_STORAGE_KEY", "")
    if key and Path(key).is_file():
        os.environ.setdefault(GOOGLE_VARIABLE, key)
