"""Where the settings file is."""

import pytest

from sightline.config.decode import decode
from sightline.config.settings import embedded_or_own, settings_path
from sightline.errors import ConfigurationError
from tests.golden import raises


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """A settings file that the environment names, as a ConfigMap is mounted."""
    path = tmp_path / "etc" / "settings.yaml"
    path.parent.mkdir()
    path.write_text("storage: {uri: 'gs://results'}\n")
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(path))
    return path


def test_the_environment_names_the_settings_file(mounted, sightline_home):
    (sightline_home / "settings.yaml").write_text("storage: {uri: 'gs://mine'}\n")
    assert settings_path() == mounted
    assert embedded_or_own("storage", "uri") == decode("plates").storage.uri == "gs://results"


def test_without_it_the_one_at_home_counts(mounted, sightline_home, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_SETTINGS", "")
    assert settings_path() == sightline_home / "settings.yaml"
    assert embedded_or_own("storage", "uri") == (sightline_home / "bucket").as_uri()


def test_a_settings_file_that_is_named_and_missing_is_a_fault(mounted):
    mounted.unlink()
    with raises(ConfigurationError, mounted):
        decode("plates")
