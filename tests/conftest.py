"""What every test stands on: an own home, so that no test reads or writes the settings of the person who runs it."""

import pytest

from tests.golden import write_changed
from tests.servers.google_storage import bucket_uri, google_storage_rig, google_storage_server  # noqa: F401  (fixtures)
from tests.servers.mariadb import mariadb_server  # noqa: F401  (a fixture)


@pytest.fixture(autouse=True)
def sightline_home(tmp_path_factory, monkeypatch):
    """An empty SIGHTLINE_HOME for every test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SIGHTLINE_HOME", str(home))
    for variable in ("SIGHTLINE_RUN_ID", "SIGHTLINE_RUN_NAME", "SIGHTLINE_SETTINGS", "SIGHTLINE_CODE"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture(autouse=True)
def golden_files():
    """Golden files are written after the test."""
    yield
    write_changed()
