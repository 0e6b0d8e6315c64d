import json
import shlex

import pytest

from sightline.runs.tensorboard import tensorboard_command, tensorboard_folder
from sightline.runs.training_logs import note_training_logs

RUN = "20261128-061423-288b"


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """A work volume on which a run noted where it trains."""
    monkeypatch.setenv("SIGHTLINE_RUN_ID", RUN)
    work = tmp_path / "my work"
    note_training_logs(work, work / "train" / "abc" / "files")
    return work


def test_the_logs_of_a_run_are_found_by_its_name(noted):
    logs = noted / "train" / "abc" / "files" / "tensorboard"
    assert tensorboard_folder(noted, RUN) == ""  # not begun
    logs.mkdir(parents=True)
    assert tensorboard_folder(noted, RUN) == str(logs)
    assert tensorboard_folder(noted, "another") == ""


def test_a_volume_that_was_moved_keeps_them(noted, tmp_path):
    (noted / "train" / "abc" / "files" / "tensorboard").mkdir(parents=True)
    noted.rename(tmp_path / "elsewhere")
    assert tensorboard_folder(tmp_path / "elsewhere", RUN).startswith(str(tmp_path / "elsewhere"))
    text = (tmp_path / "elsewhere" / "runs" / RUN / "training.json").read_text()
    assert json.loads(text) == {"format": 1, "files": "train/abc/files"}


def test_published_curves_stand_in_for_those_that_are_gone(noted, tmp_path):
    published = tmp_path / "bucket" / "results"
    assert tensorboard_folder(noted, RUN, published.as_uri()) == ""
    (published / "tensorboard").mkdir(parents=True)
    assert tensorboard_folder(noted, RUN, published.as_uri()) == str(published / "tensorboard")
    assert tensorboard_folder(noted, RUN, "gs://bucket/a") == "gs://bucket/a/tensorboard"


def test_outside_a_run_nothing_is_noted(tmp_path):
    note_training_logs(tmp_path, tmp_path / "train" / "abc" / "files")
    assert list(tmp_path.iterdir()) == []


def test_the_command_can_be_pasted():
    command = tensorboard_command("/work/my runs/it's")
    assert shlex.split(command) == ["tensorboard", "--logdir", "/work/my runs/it's"]
    assert tensorboard_command("") == ""
