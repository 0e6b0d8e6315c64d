"""Every benchmark, one after another, and all figures in one table at the end: python -m benchmarks [NAME ...]."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.figures import Figure, show

NOT_BENCHMARKS = {"__main__", "figures", "training_reference"}
ON_REQUEST = {"gpu"}
"""Run only by name: it needs a machine with a GPU."""


def main(names: list[str]) -> int:
    """Run the benchmarks ``names``, or all; exits with 1 when a target was missed."""
    found = sorted(
        path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_BENCHMARKS | ON_REQUEST
    )
    figures: list[Figure] = []
    for name in names or found:
        print(f"== {name}", flush=True)
        figures += importlib.import_module(f"benchmarks.{name}").measure()
    show("Sightline, measured on this machine now", figures)
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
