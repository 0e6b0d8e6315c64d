"""The tasks of a run: one table for the graph, pods, journal, pages and the catalogue of components.

The keys of finished results are defined elsewhere (:mod:`sightline.config.digest`, :mod:`sightline.code.reach`), so
that a new title or time limit does not cause a new training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_QUARTER = 15 * 60
_DAY = 24 * 60 * 60
_SERVICE = "a few seconds, 0.5 GiB"


@dataclass(frozen=True, slots=True)
class Step:
    """One task of a run.

    Attributes:
        name: Name of its component, its journal entry and its function in :mod:`sightline.steps.task`.
        title: Title in pages, commands and Kubeflow's dashboard.
        timeout_seconds: Kubeflow's time limit, including the time until its pod is scheduled.
        needs: Typical resources, for users.
        tags: Tags for the catalogue of components.
        retries: How often Kubeflow restarts a failed container; all steps with retries resume their work.
        image: ``base`` does not contain torch.
        accelerated: Whether it always runs a network and therefore gets the accelerator.
        asked: Whether ``--steps`` may leave it out; its last result is then used by the next step.
    """

    name: str
    title: str
    timeout_seconds: int
    needs: str
    tags: tuple[str, ...]
    retries: int = 0
    image: Literal["base", "train"] = "base"
    accelerated: bool = False
    asked: bool = False


TABLE = (
    Step("resolve", "Resolve", _QUARTER, _SERVICE, ("configuration",)),
    Step(
        "record",
        "Record dataset",
        _DAY,
        "2 CPU and 4 GiB for about ten thousand images",
        ("data-processing", "computer-vision", "labelme", "coco", "dvc"),
        retries=2,
        asked=True,
    ),
    Step(
        "train",
        "Train candidates",
        14 * _DAY,
        "a GPU, 4 CPU, 16 GiB, 2 GiB of shared memory at /dev/shm",
        ("training", "computer-vision", "pytorch"),
        retries=3,
        image="train",
        accelerated=True,
        asked=True,
    ),
    Step(
        "evaluate",
        "Evaluate, select",
        _DAY,
        "the same as train",
        ("evaluation", "computer-vision", "pytorch"),
        retries=2,
        image="train",
        accelerated=True,
        asked=True,
    ),
    Step(
        "promote",
        "Promote",
        _DAY,
        "a few seconds, 1 GiB; if another run has changed the champion meanwhile, 2 CPU and 4 GiB; no GPU",
        ("model-registry", "computer-vision"),
        retries=2,
        image="train",
    ),
    Step(
        "test",
        "Test selected",
        _DAY,
        "the same as train",
        ("evaluation", "computer-vision", "pytorch"),
        retries=2,
        image="train",
        accelerated=True,
        asked=True,
    ),
    Step("finish", "Finish run", _QUARTER, _SERVICE, ("reporting",)),
)
"""The order in all pages and commands."""

BY_NAME = {step.name: step for step in TABLE}

STEPS = tuple(step.name for step in TABLE if step.asked)
"""The choices of ``--steps``: each publishes a result that the next one can find."""

OPEN_ME = "Open me: "
"""Prefix of the group of steps: Kubeflow's dashboard shows the group as one box with the graph inside."""
