"""A world in which the whole pipeline has run, as it was a moment ago."""

from __future__ import annotations

import shutil

import pytest

from tests.copies import restore
from tests.shapes_world import World


@pytest.fixture(autouse=True)
def own_temporary_files(tmp_path, monkeypatch):
    """System-wide temporary files are looked for in a folder of its own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A world after one run, and a copy of it beside it that stays as it is."""
    folder = tmp_path_factory.mktemp("garbage") / "world"
    world = World(folder)
    world.make_data()
    run_id = world.run()
    shutil.copytree(folder, folder.with_name("pristine"), symlinks=True)
    return folder, run_id


@pytest.fixture
def world(finished):
    """The world as it was after one run."""
    folder, _ = finished
    restore(folder, folder.with_name("pristine"))
    return World(folder)
