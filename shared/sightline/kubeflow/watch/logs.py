"""Logs of tasks: from the pod while it exists, otherwise from the archive of Kubeflow."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sightline.errors import KubeflowError, NotThereError
from sightline.kubeflow.client.connection import Kubeflow
from sightline.kubeflow.runs.lookup import Run, find_run
from sightline.kubeflow.watch.status import RunStatus, run_status
from sightline.kubeflow.watch.task_states import TaskStatus

POLL_SECONDS = 2.0
_WITH_LOG = {"running", "succeeded", "failed", "stopped"}


def find_tasks(status: RunStatus, name: str) -> list[TaskStatus]:
    """The tasks with this name or title; without a name, all that have started.

    Raises:
        NotThereError: The run has no such task.
    """
    tasks = status.all_tasks()
    if not name:
        return [task for task in tasks if task.state in _WITH_LOG]
    found = [task for task in tasks if name in {task.name, task.title}]
    if not found:
        names = ", ".join(task.name for task in tasks)
        raise NotThereError(f"run {status.run.run_id} has no task {name!r}; it has {names}")
    return found


def task_log(kubeflow: Kubeflow, run: Run, task: TaskStatus) -> Iterator[str]:
    """The current log of a task.

    Raises:
        NotThereError: It has no log, with the reason.
    """
    if task.state == "cached":
        raise NotThereError(f"task {task.name} used an earlier result from the cache, so it has no log in this run")
    cluster = kubeflow.cluster
    if cluster is not None and task.pod:
        try:
            yield from cluster.log_lines(task.pod)
        except NotThereError:
            pass  # the pod was removed just now
        else:
            return
    if not task.node_id:
        raise NotThereError(
            f"task {task.name} is {task.state} and has no log" + (f": {task.reason}" * bool(task.reason))
        )
    yield from kubeflow.api.log_lines(run.run_id, task.node_id)


def follow_log(kubeflow: Kubeflow, run: Run, name: str) -> Iterator[str]:
    """The log of one task from start to end, line by line as it is written.

    Raises:
        KubeflowError: There is no such task, or it ended without a log.
    """
    said = 0
    while True:
        run = find_run(kubeflow.api, run.run_id)
        status = run_status(kubeflow, run)
        task = find_tasks(status, name)[0]
        if task.state in _WITH_LOG:
            if kubeflow.cluster is not None and task.pod:
                yield from _rest(kubeflow.cluster.log_lines(task.pod, follow=True), said)
                return
            lines = list(_quiet(kubeflow, run, task))
            yield from lines[said:]
            said = max(said, len(lines))
        if run.ended or task.state in {"succeeded", "failed", "stopped", "skipped", "cached", "not reached"}:
            if not said:
                yield from task_log(kubeflow, run, task)
            return
        time.sleep(POLL_SECONDS)


def _rest(lines: Iterator[str], said: int) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number >= said:
            yield line


def _quiet(kubeflow: Kubeflow, run: Run, task: TaskStatus) -> Iterator[str]:
    try:
        yield from task_log(kubeflow, run, task)
    except KubeflowError:
        return
