"""Starting runs, repeating runs with changes, and waiting until they end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sightline.errors import TakenError, UnreachableError
from sightline.kubeflow.client.connection import Kubeflow
from sightline.kubeflow.runs.lookup import Run, find_run, read_run, resume
from sightline.kubeflow.runs.lost_pods import lost_tasks
from sightline.kubeflow.runs.preflight import Findings, check_cluster, check_code, check_dataset
from sightline.kubeflow.runs.preflight_nodes import check_nodes
from sightline.kubeflow.runs.submit import Version, start_run

MAX_RESUMES = 2
"""How many times a run that lost its pods is resumed automatically."""

RECENT_SECONDS = 900.0
"""A run that ended longer ago is not resumed, because it may have been left like this on purpose."""

POLL_SECONDS = 3.0
_PATIENCE_SECONDS = 120.0

_log = logging.getLogger(__name__)


def launch(
    kubeflow: Kubeflow,
    version: Version,
    parameters: Mapping[str, Any],
    *,
    experiment_id: str,
    service_account: str = "",
    description: str = "",
) -> Run:
    """Check all requirements, then start a run.

    Args:
        kubeflow: The Kubeflow to use.
        version: The version to run.
        parameters: From :mod:`sightline.kubeflow.runs.parameters`.
        experiment_id: Id of the experiment.
        service_account: Service account of the pods; empty: that of the profile.
        description: Shown in the dashboard.

    Raises:
        NotReadyError: A requirement is missing; nothing was started.
    """
    account = service_account or kubeflow.service_account
    require_ready(kubeflow, version, parameters, account)
    place = {"experiment_id": experiment_id, "service_account": account}
    return read_run(start_run(kubeflow.api, version, parameters, **place, description=description))


def require_ready(
    kubeflow: Kubeflow, version: Version, parameters: Mapping[str, Any], service_account: str = ""
) -> None:
    """Check all requirements of a run; the version need not be uploaded.

    Raises:
        NotReadyError: A requirement is missing.
    """
    found = _check(kubeflow, version, parameters, service_account)
    for note in found.notes:
        _log.warning("%s", note)
    found.require()


def _check(kubeflow: Kubeflow, version: Version, parameters: Mapping[str, Any], service_account: str) -> Findings:
    graph = version.graph(parameters)
    found = check_cluster(kubeflow.cluster, graph, service_account)
    tag, code = str(parameters.get("dataset_tag", "")), str(parameters.get("code_rev", ""))
    for more in (
        check_nodes(kubeflow.cluster, graph),
        check_code(kubeflow.cluster, code),
        check_dataset(kubeflow.cluster, tag) if tag else Findings(),
    ):
        found.faults += more.faults
        found.notes += more.notes
    return found


def wait(kubeflow: Kubeflow, run: Run, seen: Callable[[Run], None], *, poll_seconds: float = POLL_SECONDS) -> Run:
    """Wait until a run ends; one whose pods were evicted or lost is resumed, at most :data:`MAX_RESUMES` times.

    Args:
        kubeflow: The Kubeflow of the run.
        run: The run.
        seen: Called with the run each time it was read.
        poll_seconds: Time between two requests.

    Returns:
        The run after it has ended.

    Raises:
        KubeflowError: The API does not answer for two minutes, or rejects the request.
    """
    resumes = 0
    last_answer = time.monotonic()
    while True:
        try:
            run = find_run(kubeflow.api, run.run_id)
            last_answer = time.monotonic()
        except UnreachableError as error:
            if time.monotonic() - last_answer > _PATIENCE_SECONDS:
                raise
            _log.warning("%s; trying again", error)
            time.sleep(poll_seconds)
            continue
        seen(run)
        if run.ended:
            if resumes == MAX_RESUMES or not _resumed(kubeflow, run):
                return run
            resumes += 1
        time.sleep(poll_seconds)


def _resumed(kubeflow: Kubeflow, run: Run) -> bool:
    """Resume a run if it failed because pods were lost; whether it continues."""
    if run.state != "failed" or kubeflow.cluster is None:
        return False
    if run.finished is not None and (datetime.now(UTC) - run.finished).total_seconds() > RECENT_SECONDS:
        return False
    workflow = kubeflow.cluster.workflow(run.run_id)
    lost = lost_tasks(workflow) if workflow else []
    if not lost:
        return False
    _log.warning("resuming %s, because pods were lost: %s", run.run_id, "; ".join(lost))
    with suppress(TakenError):  # another user who watches it was faster
        resume(kubeflow.api, run)
    return True
