import json
import os

import pytest

from sightline.errors import ConfigurationError, DataError, RepositoryError, StorageError, UnknownTagError
from sightline.files import write_atomically
from sightline.runs.folder import run_folder
from sightline.runs.journal import journalled, process_is_alive, read_journal


@pytest.fixture
def run_id(monkeypatch):
    monkeypatch.setenv("SIGHTLINE_RUN_ID", "r1")
    return "r1"


def test_a_task_runs_then_succeeds(tmp_path, run_id):
    with journalled(tmp_path, "record", {"tag": "v1"}) as entry:
        assert read_journal(tmp_path, run_id)["record"].state == "running"
        entry.outputs = {"images": "3"}
    done = read_journal(tmp_path, run_id)["record"]
    assert (done.state, done.inputs, done.outputs) == ("succeeded", {"tag": "v1"}, {"images": "3"})


def test_a_reused_task_stays_reused(tmp_path, run_id):
    with journalled(tmp_path, "record", {}) as entry:
        entry.state = "reused"
    assert read_journal(tmp_path, run_id)["record"].state == "reused"


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (ValueError("no such tag"), "failed", "no such tag"),
        (KeyboardInterrupt(), "interrupted", "run the same command to resume"),
    ],
)
def test_a_task_that_ends_badly_says_why(tmp_path, run_id, error, state, message):
    with pytest.raises(type(error)), journalled(tmp_path, "train", {}):
        raise error
    entry = read_journal(tmp_path, run_id)["train"]
    assert entry.state == state
    assert message in entry.message


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConfigurationError("x"), True),
        (DataError("x"), True),
        (UnknownTagError("x"), True),
        (StorageError("x"), False),
        (RepositoryError("x"), False),
        (ValueError("x"), False),
    ],
)
def test_what_must_be_corrected_is_told_from_what_may_pass(tmp_path, run_id, error, expected):
    with pytest.raises(type(error)), journalled(tmp_path, "record", {}):
        raise error
    assert read_journal(tmp_path, run_id)["record"].needs_correction is expected


def test_a_killed_task_is_seen_as_interrupted(tmp_path, run_id):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert not process_is_alive(child, "")
    assert process_is_alive(child, "another-host")
    with journalled(tmp_path, "test", {}):
        pass
    path = run_folder(tmp_path, run_id) / "tasks" / "test.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": "running", "pid": child}))
    assert read_journal(tmp_path, run_id)["test"].state == "interrupted"


def test_without_a_run_there_is_no_journal(tmp_path):
    with journalled(tmp_path, "record", {}):
        pass
    assert list(tmp_path.iterdir()) == []


def test_writing_leaves_the_old_file_or_the_new(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_atomically(path, "one")
    write_atomically(path, "two")
    assert path.read_text() == "two"
    assert [entry.name for entry in path.parent.iterdir()] == ["b.json"]
