"""A disk that is full, read-only, gone or not ours, under a whole run: one error, and the same command completes."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import subprocess

import pytest

from sightline.errors import SightlineError, StepError
from sightline.files import write_atomically
from sightline.runs.journal import journalled
from tests.copies import restore
from tests.golden import raises
from tests.privileges import as_ordinary_user
from tests.shapes_world import World

slow = pytest.mark.slow


@contextlib.contextmanager
def disk(path, size):
    """A file system of its own at ``path``; gives a function that changes its options."""
    path.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], capture_output=True, check=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data repository of which every world of this module gets a copy at the same place."""
    world = World(tmp_path_factory.mktemp("disks") / "world")
    world.make_data()
    shutil.copytree(world.folder, world.folder.with_name("pristine"), symlinks=True)
    return world.folder


@pytest.fixture
def world(data):
    restore(data, data.with_name("pristine"))
    return World(data)


def outcome(world, run_id):
    """The models that a run made and chose, and where it found them good."""
    path = world.work / "runs" / run_id / "tasks"
    trained, tested = (
        json.loads(json.loads((path / f"{step}.json").read_text())["result"]) for step in ("train", "test")
    )
    return [model["sha256"] for model in trained["candidates"]], [model["metrics"] for model in tested["models"]]


def fails(world, *tokens):
    with pytest.raises(SightlineError) as caught:
        world.run()
    assert not [token for token in tokens if token not in str(caught.value)], caught.value
    assert "Traceback" not in str(caught.value)
    assert "no path given" not in str(caught.value)


@slow
def test_a_bucket_that_is_full_or_read_only(world):
    with disk(world.bucket, "40k") as remount:
        for size, step in (("40k", "record"), ("400k", "train"), ("2500k", "evaluate")):
            remount(f"size={size}")
            fails(world, step, os.strerror(errno.ENOSPC))
            assert not list(world.bucket.rglob("*.part"))
        remount("size=64m,ro")
        fails(world, os.strerror(errno.EROFS))
        remount("size=64m,rw")
        world.run()
        world.require_intact()


@slow
def test_a_work_volume_that_is_full_or_read_only(world):
    with disk(world.work, "4k") as remount:
        for size in ("4k", "60k", "200k", "700k", "1m", "1200k", "2m", "3m", "6m"):
            remount(f"size={size}")
            fails(world)
        remount("size=64m,ro")
        fails(world, os.strerror(errno.EROFS))
        remount("size=64m,rw")
        disturbed = outcome(world, world.run())
        world.require_intact()
        assert [path for path in world.work.rglob("*.part") if path.name != "kubeflow"] == []
    for name in ("bucket", "work"):
        shutil.rmtree(world.folder / name, ignore_errors=True)
    subprocess.run(
        ["git", "tag", "--delete", "shapes_train_v1"], cwd=world.folder / "data", check=True, capture_output=True
    )
    (world.folder / "sightline.sqlite").unlink()
    assert outcome(world, world.run()) == disturbed


@slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of TensorBoard's writer
def test_a_work_volume_that_vanishes_while_a_model_is_trained(world, monkeypatch):
    from sightline.engine import loop

    with disk(world.work, "64m"):
        save_all = loop.save_all

        def vanish(training, checkpoints):
            subprocess.run(["umount", "--lazy", str(world.work)], check=True)
            save_all(training, checkpoints)

        monkeypatch.setattr(loop, "save_all", vanish)
        fails(world, "train", ".safetensors")
        monkeypatch.undo()
        subprocess.run(["mount", "-t", "tmpfs", "none", str(world.work)], check=True)
        world.run()
        world.require_intact()


@slow
@pytest.mark.usefixtures("installed_dvc")
@pytest.mark.parametrize("place", ["bucket", "work", "remote/training", "data/.git"])
def test_a_place_that_may_not_be_written(world, place, caplog, capsys):
    """As an ordinary user; root, whom no permission stops, gives that power away first."""
    folder = world.folder / place
    folder.mkdir(exist_ok=True)
    caplog.set_level(logging.DEBUG, logger="sightline.data.git.commands")
    closed = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in closed:
        path.chmod(0o500)
    with pytest.raises(SightlineError) as caught:
        as_ordinary_user(world.run)
    for path in closed:
        path.chmod(0o700)
    assert "ermission denied" in str(caught.value) or "access is denied" in str(caught.value), caught.value
    assert "Traceback" not in str(caught.value)
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    assert "git ls-remote" in printed or place == "work"
    assert printed.count("git push --quiet --atomic") <= 1, "what stays forbidden was tried again"
    as_ordinary_user(world.run)
    world.require_intact()


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with raises(StepError, "/file/run.json"):
        write_atomically(tmp_path / "file" / "run.json", "{}")
    (tmp_path / "folder").mkdir()
    with raises(StepError, "/folder"):
        write_atomically(tmp_path / "folder", "{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def run_a_task(work, error):
    """A task whose journal becomes a folder that cannot be written, and that fails with ``error``, if any."""
    with journalled(work, "record", {}):
        shutil.rmtree(work / "runs")
        (work / "runs").write_text("in the way")
        if error:
            raise error


def test_a_journal_that_cannot_be_written_does_not_hide_why_the_task_failed(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_RUN_ID", "r1")
    with pytest.raises(ValueError, match="no such tag"):
        run_a_task(tmp_path, ValueError("no such tag"))
    (tmp_path / "runs").unlink()
    with raises(StepError, "record.json"):
        run_a_task(tmp_path, None)
