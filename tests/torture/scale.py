"""How much is done: all of it with SIGHTLINE_TORTURE=full (``make torture``), otherwise a short form."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

FULL = os.environ.get("SIGHTLINE_TORTURE", "") == "full"
SEED = int(os.environ.get("SIGHTLINE_TORTURE_SEED") or (random.SystemRandom().randrange(10**6) if FULL else 0))

Case = TypeVar("Case")


def cases(every: Sequence[Case], *, short: Sequence[Case]) -> Sequence[Case]:
    """The cases of this run."""
    return every if FULL else short
