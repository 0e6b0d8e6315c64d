"""Training curves, also over kills and resumes."""

from __future__ import annotations

import json
import sys

import pytest

from sightline.errors import ConfigurationError
from sightline.tracking import TrackedTraining, open_trackers
from sightline.tracking.text import read_metrics
from tests.golden import raises


def test_text_lines_come_back(tmp_path):
    tracker = open_trackers(["text"], TrackedTraining(tmp_path / "logs"))
    tracker.log_metrics(1, {"loss": 1.5})
    tracker.log_metrics(2, {"loss": 1.25, "val/mask_AP": 0.1})
    assert read_metrics(tmp_path / "logs" / "metrics.jsonl") == [
        {"iteration": 1, "loss": 1.5},
        {"iteration": 2, "loss": 1.25, "val/mask_AP": 0.1},
    ]
    tracker.close()
    tracker.close()
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize(
    "tail", [b"", b'{"iteration": 6, "lo', b'{"iteration": 4, "loss": 9.0}', b"\xff\xfe\n", b"[]\n"]
)
def test_a_resumed_run_goes_on_after_its_checkpoint(tmp_path, tail):
    path = tmp_path / "metrics.jsonl"
    lines = b"".join(json.dumps({"iteration": i, "loss": float(i)}).encode() + b"\n" for i in range(1, 6))
    path.write_bytes(lines + tail)
    tracker = open_trackers(["text"], TrackedTraining(tmp_path, 4))
    tracker.log_metrics(5, {"loss": 5.5})
    tracker.close()
    assert [(line["iteration"], line["loss"]) for line in read_metrics(path)] == [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
        (5, 5.5),
    ]


def test_a_new_run_begins_with_an_empty_file(tmp_path):
    for _ in range(2):
        tracker = open_trackers(["text"], TrackedTraining(tmp_path))
        tracker.log_metrics(1, {"loss": 1.0})
        tracker.close()
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 1


def test_values_must_be_finite(tmp_path):
    tracker = open_trackers([], TrackedTraining(tmp_path))
    with raises(ValueError, "iteration 3", "{'loss': nan}"):
        tracker.log_metrics(3, {"loss": float("nan"), "rate": 1.0})


def test_an_unknown_tracker_lists_the_known(tmp_path):
    with raises(ConfigurationError, "neptune"):
        open_trackers(["text", "neptune"], TrackedTraining(tmp_path))


def test_a_missing_tensorboard_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with raises(ConfigurationError):
        open_trackers(["tensorboard"], TrackedTraining(tmp_path))
