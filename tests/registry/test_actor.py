"""The person who runs a command, as it is recorded."""

import pytest

from sightline.registry.actor import person


@pytest.mark.parametrize("user", ["\x1b[31manna", "an\nna", "\udcffanna", "anna" * 100])
def test_a_user_name_that_is_no_name_can_be_recorded(monkeypatch, user):
    monkeypatch.setenv("LOGNAME", user)
    assert person().isprintable()
    assert "na" in person()
    assert len(person()) <= 255
