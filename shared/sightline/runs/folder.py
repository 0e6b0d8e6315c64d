"""The folder of a run on the work volume, with its journal, page and logs."""

from __future__ import annotations

from pathlib import Path


def run_folder(work: Path, run_id: str) -> Path:
    """The folder of a run."""
    return work / "runs" / run_id
