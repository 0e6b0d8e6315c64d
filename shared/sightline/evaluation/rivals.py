"""The present champions as rivals of the candidates.

A champion that was lost or damaged, that another release wrote or that knows other classes never stops an evaluation:
it is left out, with the reason.  A bucket that does not answer is another matter, and stays an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.config.schema import Config
from sightline.data.formats.coco import CocoDocument
from sightline.errors import (
    ConfigurationError,
    DamagedObjectError,
    DataError,
    ModelFileError,
    SightlineError,
    StepError,
    StorageError,
)
from sightline.evaluation.inference import fetch_model
from sightline.evaluation.shared_classes import SharedClasses, listed, shared_classes
from sightline.registry.champions import ChampionPointer, ChampionState
from sightline.registry.results import ChampionKind
from sightline.storage import open_uri

if TYPE_CHECKING:
    from sightline.tasks.base import Predictor

_NETWORK_FAULTS = (ImportError, MemoryError, RuntimeError, ValueError, TypeError, LookupError, AttributeError)
"""What building and running the network of a model file raises: a missing library, torch, CUDA."""


@dataclass(slots=True)
class Rival:
    """A champion, and what stands in the way of measuring it.

    Attributes:
        pointer: Its pointer.
        name: What it is called among the scored models.
        path: Its model file on the work volume; None where it cannot be used.
        shared: Its classes and those of the dataset; None where it cannot be used.
        kind: How it was found.
        obstacle: Why it cannot be measured, as a part of a sentence; empty where it can.
    """

    pointer: ChampionPointer
    name: str
    path: Path | None = None
    shared: SharedClasses | None = None
    kind: ChampionKind = "measured"
    obstacle: str = ""
    _who: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._who = f"the champion of {self.pointer.training_tag}"

    def fail(self, kind: ChampionKind, reason: str) -> None:
        """Leave it out, and remember why."""
        self.path, self.kind, self.obstacle = None, kind, f"{self._who} {reason}"

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Take faults of this champion as obstacles; those of the bucket, the database and the data go through.

        Args:
            what: What was tried, in the infinitive.
        """
        try:
            yield
        except (ModelFileError, ConfigurationError, DamagedObjectError, DataError, StepError) as error:
            self.fail("unreadable", f"cannot be used ({error})")
        except SightlineError:
            raise
        except _NETWORK_FAULTS as error:
            text = " ".join(str(error).split())[:300]
            self.fail("unreadable", f"cannot be used: {type(error).__name__} when trying to {what} ({text})")


def rivals(champions: Mapping[str, ChampionState]) -> dict[str, Rival]:
    """The distinct champions by SHA-256, named after the metrics where there are several.

    Args:
        champions: What was found by each metric.
    """
    pointers = {state.pointer.sha256: state.pointer for state in champions.values() if state.pointer is not None}
    found = {}
    for sha256, pointer in pointers.items():
        metrics = [metric for metric, state in champions.items() if state.sha256 == sha256]
        found[sha256] = Rival(pointer, "champion" if len(pointers) == 1 else f"champion ({', '.join(metrics)})")
    return found


def prepare(rival: Rival, config: Config, truth: CocoDocument, folder: Path) -> None:
    """Fetch a champion's model file and compare its task and classes with the dataset's; obstacles are remembered.

    Args:
        rival: The champion.
        config: The whole configuration.
        truth: The split that it is to be measured on.
        folder: Where model files go.

    Raises:
        StorageError: The bucket cannot be read.
    """
    from sightline.models.model_file import read_card

    pointer = rival.pointer
    with rival.attempt("fetch it"):
        try:
            open_uri(pointer.uri)
        except StorageError as error:
            raise StepError(f"its URI cannot be used: {error}") from error
        rival.path = fetch_model(pointer.uri, pointer.sha256, folder)
        card = read_card(rival.path)
        if card.task != config.task:
            rival.fail("incomparable", f"was made for the task {card.task}, this is {config.task}")
            return
        rival.shared = shared_classes(card.classes, card.category_ids, truth)
        if not rival.shared.names:
            mine, theirs = listed([entry["name"] for entry in truth["categories"]]), listed(card.classes)
            rival.fail("incomparable", f"was made for the classes {theirs}, these are {mine}, and none is shared")


def load(rival: Rival, task: str, device: str) -> Predictor:
    """A champion's network; call it within :meth:`Rival.attempt`."""
    from sightline.tasks.base import load_predictor

    assert rival.path is not None  # noqa: S101
    return load_predictor(rival.path, device, task=task)


def still_unreadable(pointer: ChampionPointer, config: Config, truth: CocoDocument, folder: Path, device: str) -> bool:
    """Whether a champion that could not be used before cannot be loaded now either.

    Raises:
        StorageError: The bucket cannot be read.
    """
    rival = Rival(pointer, "champion")
    prepare(rival, config, truth, folder)
    if not rival.obstacle:
        with rival.attempt("load it"):
            load(rival, config.task, device)
    return bool(rival.obstacle)


def free_memory() -> None:
    """Give back what a network held that did not fit."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
