"""The process of a task: the run that it belongs to, and what the mounts of its pod mean to the libraries."""

from __future__ import annotations

import os
from pathlib import Path

from sightline.logs import configure_logging

GOOGLE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"


def current_run_id() -> str:
    """The name of the run that this process belongs to; empty where there is none."""
    return os.environ.get("SIGHTLINE_RUN_ID", "")


def current_run_name() -> str:
    """What Kubeflow calls that run; empty where nobody says so.

    A back end that does not fill in ``{{$.pipeline_job_name}}`` hands on that text itself.
    """
    name = os.environ.get("SIGHTLINE_RUN_NAME", "")
    return "" if name.startswith("{{") else name


def prepare_pod() -> None:
    """Set the log up, and use the key file of Google Storage that ``SIGHTLINE_STORAGE_KEY`` names, where it is mounted.

    Without the file Google's usual ways count, such as workload identity; Google's own variable must not name a file
    that is not there.
    """
    configure_logging()
    key = os.environ.get("SIGHTLINE_STORAGE_KEY", "")
    if key and Path(key).is_file():
        os.environ.setdefault(GOOGLE_VARIABLE, key)
