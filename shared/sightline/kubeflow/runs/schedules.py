"""Runs that start by themselves, by the clock; each takes the newest version of the pipeline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sightline.errors import ConfigurationError, NotThereError, TakenError
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.client.pipelines_api import PipelinesApi
from sightline.kubeflow.runs.lookup import moment
from sightline.kubeflow.runs.pod_parameters import takes
from sightline.kubeflow.runs.submit import Version

CRON_FIELDS = 6
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_FIELD = re.compile(r"[0-9*/,A-Za-z?#-]+")


@dataclass(frozen=True)
class Schedule:
    """A schedule.

    Attributes:
        schedule_id: Kubeflow's id.
        name: Its name.
        on: Whether it starts runs.
        when: Cron line or interval.
        version_id: The one version that it runs; empty: the newest of its pipeline.
        parameters: Of the runs.
        created: When it was made, UTC.
        pipeline_id: Of which pipeline.
    """

    schedule_id: str
    name: str
    on: bool
    when: str
    version_id: str
    parameters: dict[str, Any]
    created: datetime | None
    pipeline_id: str = ""


def trigger(cron: str, every: str) -> Document:
    """When runs start, as the API wants it.

    Args:
        cron: Six fields, seconds first, or the usual five, which then start at second 0.
        every: Such as 30m, 6h or 7d.

    Raises:
        ConfigurationError: Neither, both, or not of this form.
    """
    if bool(cron) == bool(every):
        raise ConfigurationError("a schedule needs one of --cron '0 30 2 * * *' and --every 6h")
    if every:
        match = re.fullmatch(r"(\d{1,4})([mhd])", every)
        if not match or not int(match[1]):
            raise ConfigurationError(f"--every {every!r} is not an interval; expected e.g. 30m, 6h or 7d")
        return {"periodic_schedule": {"interval_second": str(int(match[1]) * _UNITS[match[2]])}}
    parts = cron.split()
    if len(parts) == CRON_FIELDS - 1:
        parts = ["0", *parts]
    if len(parts) != CRON_FIELDS or not all(_FIELD.fullmatch(part) for part in parts):
        raise ConfigurationError(
            f"--cron {cron!r} is not a cron line; expected 'MINUTE HOUR DAY MONTH WEEKDAY', UTC, e.g. '30 2 * * *', or "
            "six fields with the second in front"
        )
    return {"cron_schedule": {"cron": " ".join(parts)}}


def add_schedule(
    api: PipelinesApi,
    name: str,
    when: Document,
    *,
    pipeline_id: str,
    parameters: Mapping[str, Any],
    experiment: str,
    service_account: str = "",
) -> Schedule:
    """Make a schedule that takes the newest version of a pipeline each time.

    Args:
        api: Where.
        name: No other schedule has it.
        when: From :func:`trigger`.
        pipeline_id: Of which pipeline.
        parameters: Of the runs.
        experiment: Name of the experiment; it is made if it is not there.
        service_account: Service account of its pods; empty: the back end's choice.

    Raises:
        TakenError: There is one of that name.
    """
    require_new(api, name)
    body: Document = {
        "display_name": name,
        "experiment_id": api.experiment_id(experiment),
        # No version: the back end takes the newest each time.
        "pipeline_version_reference": {"pipeline_id": pipeline_id},
        "runtime_config": {"parameters": dict(parameters)},
        "trigger": when,
        "max_concurrency": "1",
        "no_catchup": True,
        "mode": "ENABLE",
        "namespace": api.scope,
    }
    if service_account:
        body["service_account"] = service_account
    return _read(api.create_schedule(body))


def require_new(api: PipelinesApi, name: str) -> None:
    """Raise if there is a schedule of this name.

    Raises:
        TakenError: There is one.
    """
    if any(schedule.name == name for schedule in list_schedules(api)):
        raise TakenError(
            f"there is a schedule {name} already; remove it first (it cannot be changed) or choose another name"
        )


def list_schedules(api: PipelinesApi) -> list[Schedule]:
    """All schedules, newest first."""
    return [_read(document) for document in api.schedules()]


def unfit_schedules(api: PipelinesApi, version: Version) -> list[tuple[Schedule, list[str]]]:
    """Schedules that follow a pipeline whose newest version does not take their parameters.

    Kubeflow would refuse each of their runs, and say so nowhere but in a log of its own.

    Args:
        api: Where.
        version: The newest of its pipeline.

    Returns:
        Each with the names of parameters that the version does not have, or takes in another type.
    """
    found = []
    for one in list_schedules(api):
        follows = one.pipeline_id == version.pipeline_id and not one.version_id
        names = [name for name, value in one.parameters.items() if not takes(version.parameters.get(name), value)]
        if follows and names:
            found.append((one, sorted(names)))
    return found


def find_schedules(api: PipelinesApi, names: Sequence[str]) -> list[Schedule]:
    """Schedules by name, id, or the beginning of an id.

    Raises:
        NotThereError: One is called so by none, or by several.
    """
    there = list_schedules(api)
    found = []
    for name in names:
        fitting = [one for one in there if one.name == name] or [
            one for one in there if one.schedule_id.startswith(name)
        ]
        if len(fitting) != 1:
            known = ", ".join(one.name for one in there) or "none"
            raise NotThereError(f"{len(fitting)} schedules are called {name!r}; there are: {known}")
        found += fitting
    return found


def _read(document: Document) -> Schedule:
    when = document.get("trigger") or {}
    cron = (when.get("cron_schedule") or {}).get("cron")
    seconds = int((when.get("periodic_schedule") or {}).get("interval_second") or 0)
    return Schedule(
        schedule_id=str(document["recurring_run_id"]),
        name=str(document.get("display_name", "")),
        on=str(document.get("status") or document.get("mode")) in {"ENABLED", "ENABLE"},
        when=f"cron {cron}" if cron else f"every {_interval(seconds)}",
        version_id=str((document.get("pipeline_version_reference") or {}).get("pipeline_version_id") or ""),
        parameters=dict((document.get("runtime_config") or {}).get("parameters") or {}),
        created=moment(document.get("created_at")),
        pipeline_id=str((document.get("pipeline_version_reference") or {}).get("pipeline_id") or ""),
    )


def _interval(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
