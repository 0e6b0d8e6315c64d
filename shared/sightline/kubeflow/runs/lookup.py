"""Runs on Kubeflow and their state; a run is found by id, by the beginning of its id, or by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sightline.errors import KubeflowError, NotThereError, TakenError
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.client.pipelines_api import PipelinesApi

RunState = Literal["pending", "running", "succeeded", "stopping", "failed", "stopped", "skipped"]

ENDED = {"succeeded", "failed", "stopped", "skipped"}

_STATES: dict[str, RunState] = {
    "PENDING": "pending",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CANCELING": "stopping",
    "CANCELED": "stopped",
    "SKIPPED": "skipped",
}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BEGINNING = re.compile(r"[0-9a-f-]{1,35}")
_SHOWN = 5
_CANDIDATES = 50


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        run_id: Kubeflow's id.
        name: Its display name.
        state: ``stopped`` if a user stopped it; Kubeflow itself reports failed.
        created: When it was started, UTC.
        finished: When it ended, UTC; None while it runs.
        parameters: The parameters that were set.
        pipeline_id: Id of its pipeline; empty if the run was started from a text.
        version_id: Id of the version.
        experiment_id: Id of its experiment.
        service_account: Service account of its pods.
        document: The response of the API.
    """

    run_id: str
    name: str
    state: RunState
    created: datetime
    finished: datetime | None
    parameters: dict[str, Any]
    pipeline_id: str
    version_id: str
    experiment_id: str
    service_account: str
    document: Document = field(repr=False)

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.state in ENDED

    @property
    def seconds(self) -> float:
        """Duration of the run, so far if it has not ended."""
        return ((self.finished or datetime.now(UTC)) - self.created).total_seconds()


def read_run(document: Document) -> Run:
    """Read a run from the response of the API.

    Raises:
        KubeflowError: It has an unknown format.
    """
    try:
        reference = document.get("pipeline_version_reference") or {}
        return Run(
            run_id=str(document["run_id"]),
            name=str(document["display_name"]),
            state=run_state(document),
            created=moment(document["created_at"]) or datetime.fromtimestamp(0, UTC),
            finished=moment(document.get("finished_at")),
            parameters=dict((document.get("runtime_config") or {}).get("parameters") or {}),
            pipeline_id=str(reference.get("pipeline_id") or ""),
            version_id=str(reference.get("pipeline_version_id") or ""),
            experiment_id=str(document.get("experiment_id") or ""),
            service_account=str(document.get("service_account") or ""),
            document=document,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise KubeflowError(
            f"the API returned a run in an unknown format ({type(error).__name__}: {error}); Sightline supports "
            "Kubeflow Pipelines 2.x"
        ) from error


def run_state(document: Document) -> RunState:
    """The state of a run; a stopped run ends as FAILED, and only its history shows that it was stopped.

    For a run that was stopped and later resumed, only the history since then counts.
    """
    state = _STATES.get(str(document.get("state", "")), "pending")
    if state != "failed":
        return state
    for entry in reversed(document.get("state_history") or []):
        if entry.get("state") in {"CANCELING", "CANCELED"}:
            return "stopped"
        if entry.get("state") == "RUNNING":
            return "failed"
    return "failed"


def stopped_at(document: Document) -> datetime | None:
    """When a run was stopped by a user, UTC; None if it was not stopped since its start or last resumption."""
    for entry in reversed(document.get("state_history") or []):
        if entry.get("state") in {"CANCELING", "CANCELED"}:
            return moment(entry.get("update_time"))
        if entry.get("state") == "RUNNING":
            return None
    return None


def moment(text: str | None) -> datetime | None:
    """Read a time of the API, which uses 1970 for a missing time."""
    if not text:
        return None
    time = datetime.fromisoformat(text)
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return time if time.year > 1970 else None


def find_run(api: PipelinesApi, name: str = "") -> Run:
    """Find one run.

    Args:
        api: The API to use.
        name: Its id, an unambiguous beginning of its id, or its name; empty: the newest run.

    Raises:
        NotThereError: No run or several runs match.
    """
    if _ID.fullmatch(name):
        return _by_id(api, name)
    if not name:
        newest = api.runs(1)
        if not newest:
            raise NotThereError(
                "there are no runs yet; start one: python pipeline.py run --recipe NAME --set data.tag=TAG"
            )
        return _by_id(api, str(newest[0]["run_id"]))
    found = {str(run["run_id"]): run for run in api.runs(_CANDIDATES, key="display_name", value=name)}
    if not found and _BEGINNING.fullmatch(name):
        beginning = api.runs(_CANDIDATES, key="run_id", operation="IS_SUBSTRING", value=name)
        found = {str(run["run_id"]): run for run in beginning if str(run["run_id"]).startswith(name)}
    if len(found) == 1:
        return _by_id(api, next(iter(found)))
    if not found:
        latest = "".join(f"\n  {run['run_id'][:8]}  {run['display_name']}" for run in api.runs(_SHOWN)) or " none"
        raise NotThereError(f"no run has the name {name!r} or an id that begins with it; the newest are:{latest}")
    several = "".join(f"\n  {run_id}, created {run['created_at']}" for run_id, run in list(found.items())[:_SHOWN])
    raise NotThereError(f"{len(found)} runs match {name!r}; use more digits of the id:{several}")


def _by_id(api: PipelinesApi, run_id: str) -> Run:
    try:
        return read_run(api.run(run_id))
    except NotThereError as error:
        raise NotThereError(f"there is no run {run_id}; `list` shows the runs") from error


def resume(api: PipelinesApi, run: Run) -> None:
    """Resume a run that failed or was stopped; finished tasks are kept.

    Raises:
        TakenError: The run cannot be resumed in its state.
    """
    if run.state == "succeeded":
        raise TakenError(f"run {run.run_id} succeeded, so there is nothing to resume; use rerun to run it again")
    if not run.ended:
        raise TakenError(f"run {run.run_id} is {run.state}; only a failed or stopped run can be resumed")
    try:
        api.retry(run.run_id)
    except TakenError as error:
        raise TakenError(
            f"Kubeflow cannot resume run {run.run_id}: its state has changed, or its workflow was deleted; see "
            f"`status {run.run_id}`, or use rerun, which reuses finished steps ({error})"
        ) from error


def stop(api: PipelinesApi, run: Run) -> None:
    """Stop a run; its tasks get one second to end, then its exit task runs.

    Raises:
        TakenError: The run has ended.
    """
    if run.ended:
        raise TakenError(f"run {run.run_id} has ended ({run.state}); there is nothing to stop")
    api.terminate(run.run_id)
