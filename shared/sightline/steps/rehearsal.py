"""Short trainings on the user's own machine and data that leave nothing behind: is a killed one resumed exactly?"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sightline.config.schema import Config
from sightline.data.repository.checkout import Checkout
from sightline.engine.job import Job
from sightline.engine.launch import count_processes, start_training
from sightline.engine.state import TrainingState
from sightline.errors import StepError
from sightline.files import file_sha256
from sightline.registry.results import RecordResult
from sightline.tracking.text import METRICS_FILE, read_metrics

_SPEED = {"iteration", "images_per_second", "memory_gb", "gpu_memory_gb", "data_wait"}
"""Values of the history that differ between any two trainings."""

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Comparison:
    """One value of an undisturbed training and of one that was killed and resumed.

    Attributes:
        iteration: Its iteration.
        name: Its name, such as ``loss``.
        undisturbed: Value without a kill.
        resumed: Value with a kill; NaN if it is missing.
    """

    iteration: int
    name: str
    undisturbed: float
    resumed: float


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a killed training gives the same as an undisturbed one.

    Attributes:
        killed_after: The iteration after which it was killed.
        resumed_after: The iteration of the checkpoint that it resumed from.
        losses: The loss of each iteration.
        different: All values that are not equal.
        same_weights: Whether the final weights are equal bit for bit.
    """

    killed_after: int
    resumed_after: int
    losses: list[Comparison]
    different: list[Comparison]
    same_weights: bool

    @property
    def holds(self) -> bool:
        """Whether everything is equal."""
        return self.same_weights and not self.different

    @property
    def largest_difference(self) -> float:
        """The largest relative difference of a value."""
        relative = (abs(one.undisturbed - one.resumed) / max(abs(one.undisturbed), 1e-12) for one in self.different)
        return max(relative, default=0.0)


def prove_resume(
    config: Config, code_rev: str, record: RecordResult, source: Checkout, folder: Path, *, iterations: int
) -> Proof:
    """Train twice for a few iterations, once with a kill in the middle, and compare everything.

    Args:
        config: The complete configuration; iterations, intervals and places are replaced.
        code_rev: The code revision.
        record: The training set.
        source: Its files on this machine.
        folder: An empty folder.
        iterations: Length of the trainings.

    Raises:
        StepError: A training failed.
    """
    short = _shortened(config, folder, iterations)
    jobs = [
        Job(short, code_rev, record, source, folder / name, f"rehearsal/{name}") for name in ("undisturbed", "killed")
    ]
    for job in jobs:
        job.files.mkdir(parents=True)
    undisturbed = _finish(jobs[0])
    killed_after = _train_and_kill(jobs[1], iterations // 2)
    resumed_after = jobs[1].checkpoints().read_state().iteration
    resumed = _finish(jobs[1])
    compared = _compare(undisturbed, resumed)
    digests = {file_sha256(job.files / "last.safetensors") for job in jobs}
    return Proof(
        killed_after,
        resumed_after,
        [one for one in compared if one.name == "loss"],
        [one for one in compared if one.undisturbed != one.resumed],
        same_weights=len(digests) == 1,
    )


def _shortened(config: Config, folder: Path, iterations: int) -> Config:
    train = config.train.model_copy(
        update={
            "iterations": iterations,
            "epochs": 0.0,
            "warmup_iterations": min(config.train.warmup_iterations, iterations // 3),
            "validate_every": iterations,
            "validate_epochs": 0.0,
            "checkpoint_every": max(1, iterations // 4),
            "log_every": 1,
            "trackers": ("text",),
            "sanity": False,
        }
    )
    storage = config.storage.model_copy(update={"uri": (folder / "bucket").as_uri()})
    return config.model_copy(update={"train": train, "storage": storage})


def _finish(job: Job) -> TrainingState:
    return start_training(job, job.checkpoints(), count_processes(job.config.train))


def _train_and_kill(job: Job, after: int) -> int:
    """Train in another process, and kill it when an iteration is complete; returns the last complete one."""
    command = [sys.executable, "-m", "sightline.steps.rehearsal", str(job.write())]
    metrics = job.files / METRICS_FILE
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while (last := _last_iteration(metrics)) < after:
            if process.poll() is not None:
                assert process.stderr is not None  # noqa: S101
                raise StepError(f"the training that was to be killed ended before: {process.stderr.read().strip()}")
            time.sleep(_POLL_SECONDS)
        process.kill()
    return last


def _last_iteration(metrics: Path) -> int:
    lines = read_metrics(metrics)
    return int(lines[-1]["iteration"]) if lines else 0


def _compare(undisturbed: TrainingState, resumed: TrainingState) -> list[Comparison]:
    others = {int(entry["iteration"]): entry for entry in resumed.history}
    return [
        Comparison(int(entry["iteration"]), name, value, others.get(int(entry["iteration"]), {}).get(name, math.nan))
        for entry in undisturbed.history
        for name, value in entry.items()
        if name not in _SPEED
    ]


if __name__ == "__main__":
    given = Job.read(Path(sys.argv[1]))
    _finish(given)
