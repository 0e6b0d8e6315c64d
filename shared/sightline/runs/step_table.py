"""The tasks of a run: one table for the graph, pods, journal, pages and the catalogue of components.

What decides the key of a finished result is not here (:mod:`sightline.config.digest`, :mod:`sightline.code.reach`), so
that a new title or time limit trains nothing again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_QUARTER = 15 * 60
_DAY = 24 * 60 * 60
_SERVICE = "an instant, 0.5 GiB"


@dataclass(frozen=True, slots=True)
class Step:
    """One task of a run.

    Attributes:
        name: Of its component, its journal entry and its function in :mod:`sightline.steps.task`.
        title: What pages, commands and Kubeflow's dashboard call it.
        timeout_seconds: After this Kubeflow stops it; the time before its pod finds a node counts.
        needs: CPU and memory that it takes, for a person.
        tags: For a catalogue of components.
        retries: How often Kubeflow starts a container again that failed; every step that may be goes on where it was.
        image: ``base`` has no torch.
        accelerated: Whether it computes with a network each time, so that it gets the accelerator.
        asked: Whether ``--steps`` may leave it out; it leaves a result that the next step finds.
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
        "2 CPU and 4 GiB for some ten thousand images",
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
        "as train",
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
        "an instant, 1 GiB; where another run has changed the champion meanwhile, 2 CPU and 4 GiB; no GPU",
        ("model-registry", "computer-vision"),
        retries=2,
        image="train",
    ),
    Step(
        "test",
        "Test selected",
        _DAY,
        "as train",
        ("evaluation", "computer-vision", "pytorch"),
        retries=2,
        image="train",
        accelerated=True,
        asked=True,
    ),
    Step("finish", "Finish run", _QUARTER, _SERVICE, ("reporting",)),
)
"""In the order in which every page and command shows them."""

BY_NAME = {step.name: step for step in TABLE}

STEPS = tuple(step.name for step in TABLE if step.asked)
"""What ``--steps`` chooses from: each leaves a result that the next one finds."""

OPEN_ME = "Open me: "
"""How the title of the group of steps begins: Kubeflow's dashboard shows it as one box, with the graph inside."""
