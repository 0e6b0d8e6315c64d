"""What every test stands on: an own home, so that no test reads or writes the settings of the person who runs it."""

import gc
import shutil

import pytest
from hypothesis import settings

from tests.golden import write_changed
from tests.golden.normal import temporary_folders
from tests.servers.forked_dvc import forked_dvc, installed_dvc  # noqa: F401  (fixtures)
from tests.servers.google_storage import bucket_uri, google_storage_rig, google_storage_server  # noqa: F401  (fixtures)
from tests.servers.mariadb import mariadb_server  # noqa: F401  (a fixture)

settings.register_profile("sightline", deadline=None)  # a timing never fails a test
settings.load_profile("sightline")


@pytest.fixture(autouse=True)
def sightline_home(tmp_path_factory, monkeypatch):
    """An empty SIGHTLINE_HOME for every test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SIGHTLINE_HOME", str(home))
    for variable in ("SIGHTLINE_RUN_ID", "SIGHTLINE_RUN_NAME", "SIGHTLINE_SETTINGS", "SIGHTLINE_CODE"):
        monkeypatch.delenv(variable, raising=False)
    yield home
    shutil.rmtree(home, ignore_errors=True)


def pytest_collection_modifyitems(items):
    """Files with slow tests come first, so that no process is left alone with them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """What is imported stays: let the garbage collector pass over it, for it takes half a second each time."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish():
    """Native modules report what is not collected at the end."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def golden_files(tmp_path_factory):
    """Golden files are written after the test, without the folders of this run (``--basetemp`` chooses them)."""
    temporary_folders(tmp_path_factory.getbasetemp())
    yield
    write_changed()
