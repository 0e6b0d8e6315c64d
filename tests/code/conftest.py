"""A code volume, a bucket of each kind, and settings that name it."""

from __future__ import annotations

import json

import pytest

from sightline.code import make_snapshot
from sightline.storage import open_storage
from tests.code.packages import ROOT, small_package


@pytest.fixture
def volume(tmp_path, monkeypatch):
    """An empty code volume, which the environment names."""
    volume = tmp_path / "code volume"
    volume.mkdir()
    monkeypatch.setenv("SIGHTLINE_CODE", str(volume))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "shared"))
    return volume


@pytest.fixture(params=["folder", "gs"])
def storage(request, tmp_path, monkeypatch):
    """An empty bucket, which the settings file names."""
    uri = str(tmp_path / "bucket") if request.param == "folder" else request.getfixturevalue("bucket_uri") + "/team"
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"storage: {{uri: {json.dumps(uri)}}}\n")
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(settings))
    return open_storage(uri)


@pytest.fixture
def snapshot(tmp_path):
    """Of a small package."""
    return make_snapshot(small_package(tmp_path / "first"))


@pytest.fixture
def other(tmp_path):
    """Of the same package after an edit."""
    return make_snapshot(small_package(tmp_path / "other", "edited"))
