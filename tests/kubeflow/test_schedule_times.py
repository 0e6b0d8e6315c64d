"""When schedules start runs."""

import pytest

from sightline.errors import ConfigurationError
from sightline.kubeflow.schedules import trigger


@pytest.mark.parametrize(
    ("cron", "every", "made"),
    [
        ("30 2 * * *", "", {"cron_schedule": {"cron": "0 30 2 * * *"}}),  # the back end wants the second in front
        ("15 30 2 * * 1-5", "", {"cron_schedule": {"cron": "15 30 2 * * 1-5"}}),
        ("", "6h", {"periodic_schedule": {"interval_second": "21600"}}),
        ("", "7d", {"periodic_schedule": {"interval_second": "604800"}}),
    ],
)
def test_times(cron, every, made):
    assert trigger(cron, every) == made


@pytest.mark.parametrize(
    ("cron", "every"), [("", ""), ("30 2 * * *", "6h"), ("2 * *", ""), ("; rm * * * *", ""), ("", "6"), ("", "0h")]
)
def test_times_that_are_none(cron, every):
    with pytest.raises(ConfigurationError, match=r"expected|needs one of"):
        trigger(cron, every)
