"""Where the journal, the page and the logs of a run lie on the work volume."""

from __future__ import annotations

from pathlib import Path


def run_folder(work: Path, run_id: str) -> Path:
    """The folder of a run."""
    return work / "runs" / run_id
