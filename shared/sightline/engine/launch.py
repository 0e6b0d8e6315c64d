"""Start a training: in this process, in one process per GPU, or on several nodes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import sysconfig
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from sightline.config.train import Train
from sightline.data.loading.workers import available_cpus
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.job import Job, read_failures
from sightline.engine.state import TrainingState
from sightline.engine.training import train_network
from sightline.errors import ConfigurationError, SightlineError, StepError
from sightline.models.device import choose_device
from sightline.plural import counted
from sightline.temporary_folder import temporary_folder

SHUTDOWN_SECONDS = 5
"""Time that processes get to end after SIGTERM."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

OnNodes = Callable[[Path, Job, int], None]
"""Carries out a job on several nodes: called with its file, the job, and the number of processes per node.

Raises one of our errors if the training fails.
"""

_log = logging.getLogger(__name__)


def count_processes(settings: Train) -> int:
    """The number of training processes on each machine.

    Raises:
        ConfigurationError: This machine has fewer GPUs than processes, or there are more processes than images in a
            batch, or ``train.device`` is not available.
    """
    on_gpu = choose_device(settings.device).type == "cuda"
    gpus = torch.cuda.device_count() if on_gpu else 0
    most = max(1, settings.batch_size // settings.nodes)
    if settings.processes == "auto":
        if gpus > most:
            _log.warning(
                "using %d of %d GPUs, one per image of a batch; increase train.batch_size (%d) to use all of them",
                most,
                gpus,
                settings.batch_size,
            )
        processes = min(max(1, gpus), most)
    else:
        processes = settings.processes
    if on_gpu and processes > gpus:
        raise ConfigurationError(
            f"train.processes is {processes}, but this machine has {counted(gpus, 'GPU')}; set train.processes=auto to "
            "use all GPUs (the training is the same, because train.batch_size counts the images of all processes), or "
            f"request more GPUs (on Kubeflow: --param accelerator_count={processes})"
        )
    if settings.batch_size < processes * settings.nodes:
        raise ConfigurationError(
            f"train.batch_size is {settings.batch_size}, but there are {processes * settings.nodes} processes; "
            "expected at least one image per process; increase train.batch_size, or use fewer processes or nodes"
        )
    return processes


def start_training(
    job: Job, checkpoints: Checkpoints, processes: int, on_nodes: OnNodes | None = None
) -> TrainingState:
    """Train as the configuration says, and wait for the end.

    Args:
        job: The training.
        checkpoints: Its checkpoints.
        processes: From :func:`count_processes`.
        on_nodes: Starts processes on other nodes; None: not possible here.

    Returns:
        The state after the last iteration.

    Raises:
        ConfigurationError: Several nodes are requested, but this is not Kubeflow.
        SightlineError: As for :func:`sightline.engine.training.train_network`.
        StepError: A process failed or was killed.
    """
    nodes = job.config.train.nodes
    if nodes == 1 and processes == 1:
        return train_network(job.config, job.code_rev, job.record, job.source, files=job.files, checkpoints=checkpoints)
    path = job.write()
    if nodes == 1:
        _log.info("starting %d processes", processes)
        run_processes(path, processes)
    elif on_nodes is None:
        raise ConfigurationError(nodes_need_kubeflow(nodes))
    else:
        on_nodes(path, job, processes)
    return checkpoints.read_state()


def nodes_need_kubeflow(nodes: int) -> str:
    """The message about a training on several nodes outside of Kubeflow."""
    return (
        f"train.nodes is {nodes}, but only a run on Kubeflow can use several nodes; set train.nodes=1, or start the "
        "run on Kubeflow"
    )


def run_processes(path: Path, processes: int) -> None:
    """Run a job in several processes on this machine, with torchrun's library.

    If one process ends with an error or is killed, all others are ended.  If this process is killed, they end within a
    second; if it receives a signal, they are ended first, then the signal is handled as usual.

    Args:
        path: The file of the job.
        processes: Number of processes.

    Raises:
        SightlineError: The error of the process that failed, or StepError if it was killed.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    received = 0
    with (
        temporary_folder("processes") as folder,
        _quiet_launcher(),
        _restored_signals(),
        _environment(_variables(processes)),
    ):
        launch = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            signals_to_handle=",".join(one.name for one in _heard_signals()),
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        try:
            elastic_launch(launch, sys.executable)("-m", "sightline.engine.worker", str(path))
        except ChildFailedError as error:
            raise failure_of(path.parent, processes, _killed(error, processes)) from None
        except SignalException as error:
            received = error.sigval
    if received:
        os.kill(os.getpid(), received)  # the handler of this process usually ends it
        raise StepError("the training was interrupted; run the same command to resume")


def failure_of(folder: Path, processes: int, otherwise: str) -> SightlineError:
    """The error of a training whose processes ended.

    Args:
        folder: The folder with the reports of the processes.
        processes: Their number.
        otherwise: The message if none of them reported its failure.
    """
    reports = read_failures(folder)
    if reports and not reports[0].follows:
        return reports[0].error(processes)
    return StepError(otherwise)


def _killed(error: object, processes: int) -> str:
    """The message about processes that ended without a report."""
    rank, failure = error.get_first_failure()  # type: ignore[attr-defined]
    where = f"rank {rank} of the {processes} training processes"
    if failure.exitcode == -signal.SIGKILL:
        return (
            f"{where} was killed (SIGKILL), probably because memory ran out; give the pod more memory (train_memory), "
            "or reduce train.workers, train.batch_size or train.micro_batch"
        )
    if failure.exitcode < 0:
        return f"{where} ended with signal {failure.signal_name()}; the log of the training may say why"
    return f"{where} ended with exit code {failure.exitcode}; the log of the training may say why"


def threads_per_process(processes: int) -> int:
    """Threads for the computations of each of some processes on this machine."""
    return max(1, available_cpus() // processes)


def _variables(processes: int) -> dict[str, str]:
    """Environment variables for the processes; those that the user set keep their values.

    Gloo would use the address of the machine's name, which may not be reachable.
    """
    own = {"OMP_NUM_THREADS": str(threads_per_process(processes)), "TORCH_CPP_LOG_LEVEL": "ERROR"}
    if sys.platform == "linux":
        own["GLOO_SOCKET_IFNAME"] = "lo"
    given = {name: os.environ.get(name, value) for name, value in own.items()}
    return given | {"PYTHONPATH": module_path()}


def module_path() -> str:
    """``PYTHONPATH`` for processes that import the same modules as this one, hooks of the user included."""
    installed = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    places = [Path(place or ".").absolute() for place in sys.path]
    return os.pathsep.join(str(place) for place in places if place.exists() and not str(place).startswith(installed))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are started inside the ``with``."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _heard_signals() -> list[signal.Signals]:
    """The signals that end this process; one that it ignores, such as SIGHUP under nohup, stays ignored."""
    return [number for number in _SIGNALS if signal.getsignal(number) not in {signal.SIG_IGN, None}]


@contextmanager
def _restored_signals() -> Iterator[None]:
    """Restore the signal handlers that torchrun's library replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _heard_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet_launcher() -> Iterator[None]:
    """Silence the log of torchrun's library; failures are reported with the reason of the process."""
    loggers = [logging.getLogger(name) for name in ("torch.distributed", "torch.distributed.elastic")]
    names = [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.")]
    loggers += [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    logging.getLogger("torchelastic-events-null").disabled = True
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
