"""Outboxes that repeat at once, and an environment without trackers of the person who runs the tests."""

import os

import pytest

from sightline.tracking import outbox


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch):
    monkeypatch.setattr(outbox, "FIRST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(outbox, "LAST_RETRY_SECONDS", 0.1)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "WANDB_")):
            monkeypatch.delenv(name)
    for name, value in (
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "5"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("WANDB_ERROR_REPORTING", "false"),
        ("WANDB_DISABLE_GIT", "true"),
    ):
        monkeypatch.setenv(name, value)


@pytest.fixture
def ordered_event_files(monkeypatch):
    """Event files are read in the order of their names: second, process, number; the tenth one would be before the
    second one of the same second and process."""
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(1_000_000))
