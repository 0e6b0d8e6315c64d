"""The current champions as rivals of the candidates.

A champion that is lost or damaged, was written by another release or has other classes does not make an evaluation
fail; it is left out, with the reason.  An unreachable bucket is still an error.
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

_NETWORK_FAULTS = (
    ImportError,
    MemoryError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
)
"""Errors of building and running the network of a model file: a missing library, torch, CUDA."""


@dataclass(slots=True)
class Rival:
    """A champion, and the reason if it cannot be measured.

    Attributes:
        pointer: Its pointer.
        name: Its name among the measured models.
        path: Its model file on the work volume; None if it cannot be used.
        shared: The classes it shares with the dataset; None if it cannot be used.
        kind: Whether it can be measured, or why not.
        obstacle: Reason why it cannot be measured, as a clause; empty if it can.
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
        """Leave the champion out, for this reason."""
        self.path, self.kind, self.obstacle = None, kind, f"{self._who} {reason}"

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Turn errors caused by this champion into an obstacle; errors of bucket, database and data are raised.

        Args:
            what: The attempted action, as an infinitive.
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
    """The distinct champions by SHA-256, named after their metrics if there are several.

    Args:
        champions: Metric -> state of its champion.
    """
    pointers = {state.pointer.sha256: state.pointer for state in champions.values() if state.pointer is not None}
    found = {}
    for sha256, pointer in pointers.items():
        metrics = [metric for metric, state in champions.items() if state.sha256 == sha256]
        found[sha256] = Rival(pointer, "champion" if len(pointers) == 1 else f"champion ({', '.join(metrics)})")
    return found


def prepare(rival: Rival, config: Config, truth: CocoDocument, folder: Path) -> None:
    """Fetch the champion's model file and compare its task and classes with those of the dataset.

    Problems are stored in ``rival.obstacle``.

    Args:
        rival: The champion.
        config: The whole configuration.
        truth: The split to measure it on.
        folder: Folder for model files.

    Raises:
        StorageError: The bucket cannot be read.
    """
    from sightline.models.model_file import read_card

    pointer = rival.pointer
    with rival.attempt("fetch it"):
        try:
            open_uri(pointer.uri)
        except StorageError as error:
            raise StepError(f"invalid URI: {error}") from error
        rival.path = fetch_model(pointer.uri, pointer.sha256, folder)
        card = read_card(rival.path)
        if card.task != config.task:
            rival.fail("incomparable", f"was trained for the task {card.task}, not {config.task}")
            return
        rival.shared = shared_classes(card.classes, card.category_ids, truth)
        if not rival.shared.names:
            mine, theirs = listed([entry["name"] for entry in truth["categories"]]), listed(card.classes)
            rival.fail("incomparable", f"has none of the classes of this dataset (it has {theirs}, the dataset {mine})")


def load(rival: Rival, task: str, device: str) -> Predictor:
    """Load the champion's network; to be called within :meth:`Rival.attempt`."""
    from sightline.tasks.base import load_predictor

    assert rival.path is not None  # noqa: S101
    return load_predictor(rival.path, device, task=task)


def still_unreadable(pointer: ChampionPointer, config: Config, truth: CocoDocument, folder: Path, device: str) -> bool:
    """Whether a champion that was unusable before still cannot be loaded.

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
    """Release the memory of a network that did not fit."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
