"""Train on several nodes: create the TrainJob, watch it, show the log of its first process, and remove it."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.errors import (
    ConfigurationError,
    KubeflowError,
    NotAuthorisedError,
    NotReadyError,
    NotThereError,
    StepError,
)
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.client.connection import own_cluster
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.client.profile import in_cluster
from sightline.kubeflow.trainjob import RUNTIME, train_job
from sightline.runs.step_table import BY_NAME

if TYPE_CHECKING:
    from sightline.engine.job import Job

POLL_SECONDS = 5.0
REMOVAL_SECONDS = 600.0
"""Longest time to wait until the pods of an earlier TrainJob have ended."""

QUIET_SECONDS = 600.0
"""Time without a log line after which the log says how to look at the pods."""

_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?P<level>[A-Z ]{7}) (?P<message>.*)")

_log = logging.getLogger(__name__)


def train_on_nodes(path: Path, job: Job, processes: int) -> None:
    """Carry out a job on ``train.nodes`` nodes; for :func:`sightline.engine.launch.start_training`.

    Args:
        path: The file of the job, on the work volume.
        job: The job.
        processes: Processes per node.

    Raises:
        ConfigurationError: This is not a pod.
        NotReadyError: Kubeflow Trainer is not installed, or an earlier TrainJob does not end.
        NotAuthorisedError: The service account may not create TrainJobs.
        SightlineError: The error of the process that failed.
    """
    from sightline.engine.launch import nodes_need_kubeflow

    if not in_cluster():
        raise ConfigurationError(nodes_need_kubeflow(job.config.train.nodes))
    pod = os.environ.get("KFP_POD_NAME") or os.environ.get("HOSTNAME", "")
    run_train_job(own_cluster(), pod, path, job, processes)


def run_train_job(cluster: Cluster, pod_name: str, path: Path, job: Job, processes: int) -> None:
    """Create the TrainJob of a job, wait for its end, and remove it, also if this process is told to end.

    Args:
        cluster: The namespace of the step.
        pod_name: The pod of the step.
        path: The file of the job.
        job: The job.
        processes: Processes per node.
    """
    from sightline.engine.launch import module_path, threads_per_process

    pod = cluster.find("pod", pod_name)
    if pod is None:
        raise NotReadyError(f"the cluster does not know the pod {pod_name} of this step in {cluster.namespace}")
    threads = os.environ.get("OMP_NUM_THREADS") or str(threads_per_process(processes))
    document = train_job(
        f"sightline-{job.folder.name}",
        pod,
        [sys.executable, "-m", "torch.distributed.run", "-m", "sightline.engine.worker", str(path)],
        nodes=job.config.train.nodes,
        processes=processes,
        variables={"PYTHONPATH": module_path(), "OMP_NUM_THREADS": threads},
        seconds=BY_NAME["train"].timeout_seconds,
    )
    name = document["metadata"]["name"]
    watch = _Watch(cluster, name, path.parent, job.config.train.nodes * processes)
    _remove_earlier(cluster, name)
    watch.show_life()  # before a process looks for it
    _create(cluster, document)
    _log.info("created TrainJob %s: %d nodes with %d processes each", name, job.config.train.nodes, processes)
    try:
        watch.wait()
    finally:
        _remove(cluster, name)


def _create(cluster: Cluster, document: Document) -> None:
    try:
        cluster.create_train_job(document)
    except NotThereError as error:
        raise NotReadyError(
            f"train.nodes requires Kubeflow Trainer 2.3 or later, which this cluster does not have ({error}); install "
            f"it with its runtime {RUNTIME}, or set train.nodes=1"
        ) from error
    except NotAuthorisedError as error:
        raise NotAuthorisedError(
            f"the service account of this step may not create TrainJobs ({error}); add "
            "manifests/components/train-nodes to your overlay, and run with --service-account sightline"
        ) from error


def _remove_earlier(cluster: Cluster, name: str) -> None:
    """Remove what is left of an interrupted training, and wait until none of its processes runs."""
    end = time.monotonic() + REMOVAL_SECONDS
    said = False
    while cluster.train_job(name) is not None:
        if not said:
            _log.info("removing TrainJob %s, which an interrupted run left behind", name)
            cluster.remove_train_job(name)
            said = True
        if time.monotonic() > end:
            raise NotReadyError(
                f"TrainJob {name} of an earlier run still exists {REMOVAL_SECONDS / 60:.0f} minutes after its removal; "
                f"look at its pods with kubectl get pods -l jobset.sigs.k8s.io/jobset-name={name}"
            )
        time.sleep(min(POLL_SECONDS, 1.0))


def _remove(cluster: Cluster, name: str) -> None:
    try:
        cluster.remove_train_job(name)
    except KubeflowError as error:
        _log.warning("could not remove TrainJob %s (%s); it ends within minutes without this process", name, error)


class _Watch:
    """Follows a TrainJob.

    Args:
        cluster: Its namespace.
        name: Its name.
        folder: The folder of the job's files, on the work volume.
        processes: Number of processes on all nodes.
    """

    def __init__(self, cluster: Cluster, name: str, folder: Path, processes: int) -> None:
        self._cluster, self._name, self._folder, self._processes = cluster, name, folder, processes
        self._position = 0
        self._beats = 0
        self._heard = time.monotonic()

    def wait(self) -> None:
        """Wait until the TrainJob is complete.

        Raises:
            SightlineError: A process failed, or the TrainJob was removed.
        """
        while not self._is_complete():
            self.show_life()
            self._show_log()
            time.sleep(POLL_SECONDS)
        self._show_log()

    def show_life(self) -> None:
        """Change the file that the processes watch: they end if this process is gone."""
        from sightline.engine.job import HEARTBEAT

        self._beats += 1
        (self._folder / HEARTBEAT).write_text(str(self._beats), encoding="ascii")

    def _is_complete(self) -> bool:
        from sightline.engine.launch import failure_of

        self._raise_failure()
        try:
            job = self._cluster.train_job(self._name)
        except NotAuthorisedError:
            raise
        except KubeflowError as error:  # such as an API server that is being updated
            _log.warning("cannot look at TrainJob %s, trying again (%s)", self._name, error)
            return False
        if job is None:
            raise StepError(f"TrainJob {self._name} was removed by someone else; start the run again to resume")
        conditions = (job.get("status") or {}).get("conditions") or []
        states = {one["type"]: one for one in conditions if one.get("status") == "True"}
        if "Failed" in states:
            self._show_log()
            reason = f"{states['Failed'].get('reason', '')}: {states['Failed'].get('message', '')}"
            raise failure_of(
                self._folder,
                self._processes,
                f"TrainJob {self._name} failed ({reason.strip(': ')}); its pods ended without a report: they were "
                "evicted or ran out of memory (kubectl describe pod, train_memory); run the step again to resume",
            )
        return "Complete" in states

    def _raise_failure(self) -> None:
        """Raise the error that a process reported; it would fail again in every pod that replaces its own."""
        from sightline.engine.job import read_failures

        reports = [report for report in read_failures(self._folder) if not report.follows]
        if reports:
            self._show_log()
            raise reports[0].error(self._processes)

    def _show_log(self) -> None:
        """Log the new lines of the first process."""
        from sightline.engine.job import NODES_LOG

        with suppress(FileNotFoundError), (self._folder / NODES_LOG).open("rb") as file:
            file.seek(self._position)
            *lines, rest = file.read().split(b"\n")
            self._position = file.tell() - len(rest)
            for line in lines:
                self._heard = time.monotonic()
                text = line.decode(errors="replace")
                match = _LINE.fullmatch(text)
                level = (
                    logging.getLevelNamesMapping().get(match["level"].strip(), logging.INFO) if match else logging.INFO
                )
                _log.log(level, "%s", match["message"] if match else text)
        if time.monotonic() - self._heard > QUIET_SECONDS:
            self._heard = time.monotonic()
            _log.warning(
                "no process of TrainJob %s has logged anything for %.0f minutes; look at its pods with kubectl "
                "describe pod -l jobset.sigs.k8s.io/jobset-name=%s: they may wait for nodes or volumes",
                self._name,
                QUIET_SECONDS / 60,
                self._name,
            )
