"""When schedules start runs, and which of them cannot any more."""

import pytest

from sightline.errors import ConfigurationError
from sightline.kubeflow.runs.schedules import trigger, unfit_schedules
from sightline.kubeflow.runs.submit import Version
from tests.golden import raises


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
    with raises(ConfigurationError, cron, every):
        trigger(cron, every)


def test_schedules_that_the_newest_version_does_not_take(server, api):
    def schedule(name, version_id="", pipeline_id="p", **parameters):
        reference = {"pipeline_id": pipeline_id} | ({"pipeline_version_id": version_id} if version_id else {})
        runtime = {"parameters": parameters}
        return {"recurring_run_id": name, "display_name": name, "pipeline_version_reference": reference,
                "runtime_config": runtime, "trigger": {"cron_schedule": {"cron": "0 0 3 * * *"}}}  # fmt: skip

    there = [
        schedule("fits", accelerator_count="1", node_selector={}),
        schedule("number", accelerator_count=1),
        schedule("gone", accelerator_count="1", gpus="1"),
        schedule("pinned", version_id="v", accelerator_count=1),
        schedule("other", pipeline_id="q", accelerator_count=1),
    ]
    server.say("GET /apis/v2beta1/recurringruns", {"recurringRuns": there})
    declared = {"accelerator_count": {"parameterType": "STRING"}, "node_selector": {"parameterType": "STRUCT"}}
    version = Version("p", "v2", {"root": {"inputDefinitions": {"parameters": declared}}}, {})
    found = [(one.name, names) for one, names in unfit_schedules(api, version)]
    assert found == [("number", ["accelerator_count"]), ("gone", ["gpus"])]
