"""Schedules, which start runs of the newest version of the pipeline."""

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
        when: Cron expression or interval.
        version_id: The version that it runs; empty: the newest of its pipeline.
        parameters: Parameters of the runs.
        created: When it was created, UTC.
        pipeline_id: Id of its pipeline.
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
    """The trigger of a schedule in the format of the API.

    Args:
        cron: Six fields, seconds first, or the usual five, which then start at second 0.
        every: Interval, such as 30m, 6h or 7d.

    Raises:
        ConfigurationError: Neither or both are given, or one is not valid.
    """
    if bool(cron) == bool(every):
        raise ConfigurationError("a schedule needs either --cron or --every, e.g. --cron '0 30 2 * * *' or --every 6h")
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
            f"--cron {cron!r} is not a cron expression; expected 'MINUTE HOUR DAY MONTH WEEKDAY', UTC, e.g. "
            "'30 2 * * *', or six fields that begin with the second"
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
    """Add a schedule that always uses the newest version of a pipeline.

    Args:
        api: The API to use.
        name: Name of the schedule; must be unique.
        when: From :func:`trigger`.
        pipeline_id: Id of the pipeline.
        parameters: Parameters of the runs.
        experiment: Name of the experiment; created if missing.
        service_account: Service account of the pods; empty: Kubeflow's default.

    Raises:
        TakenError: A schedule with this name exists.
    """
    require_new(api, name)
    body: Document = {
        "display_name": name,
        "experiment_id": api.experiment_id(experiment),
        # Without a version, the back end always uses the newest.
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
    """Raise if there is a schedule with this name.

    Raises:
        TakenError: There is one.
    """
    if any(schedule.name == name for schedule in list_schedules(api)):
        raise TakenError(
            f"schedule {name} already exists and cannot be changed; remove it first, or choose another name"
        )


def list_schedules(api: PipelinesApi) -> list[Schedule]:
    """All schedules, newest first."""
    return [_read(document) for document in api.schedules()]


def unfit_schedules(api: PipelinesApi, version: Version) -> list[tuple[Schedule, list[str]]]:
    """Schedules with parameters that the newest version of their pipeline does not accept.

    Kubeflow would reject each of their runs and report it only in its own log.

    Args:
        api: The API to use.
        version: The newest version of the pipeline.

    Returns:
        Each schedule with the names of parameters that the version lacks or declares with another type.
    """
    found = []
    for one in list_schedules(api):
        follows = one.pipeline_id == version.pipeline_id and not one.version_id
        names = [name for name, value in one.parameters.items() if not takes(version.parameters.get(name), value)]
        if follows and names:
            found.append((one, sorted(names)))
    return found


def find_schedules(api: PipelinesApi, names: Sequence[str]) -> list[Schedule]:
    """Find schedules by name, id, or the beginning of an id.

    Raises:
        NotThereError: No schedule or several schedules match a name.
    """
    there = list_schedules(api)
    found = []
    for name in names:
        fitting = [one for one in there if one.name == name] or [
            one for one in there if one.schedule_id.startswith(name)
        ]
        if len(fitting) != 1:
            known = ", ".join(one.name for one in there) or "none"
            matches = f"{len(fitting)} schedules match" if fitting else "no schedule matches"
            raise NotThereError(f"{matches} {name!r}; there are: {known}")
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
