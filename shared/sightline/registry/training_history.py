"""``history.json``: the logged values of a training by iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sightline.documents import DocumentKind


@dataclass(frozen=True, slots=True)
class History:
    """``history.json``.

    Attributes:
        entries: ``{"iteration": 20, "loss": 1.2, "learning_rate": ..., "val/mask_AP": ...}`` for each logged iteration.
    """

    entries: list[dict[str, Any]]


def _from_list(entries: list[Any]) -> dict[str, Any]:
    if not isinstance(entries, list):
        raise TypeError("it is not a list")
    return {"entries": entries}


HISTORY = DocumentKind("training history", History, upgrades=(_from_list,))
