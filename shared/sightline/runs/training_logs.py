"""The training logs of a run, found by the run's name.

The files of a training lie in a folder that is named after what it was made from, so that an interrupted one goes on;
the run's own folder only says where that is.
"""

from __future__ import annotations

import json
from pathlib import Path

from sightline.files import write_atomically
from sightline.pod import current_run_id
from sightline.runs.journal import run_folder

POINTER = "training.json"


def note_training_logs(work: Path, files: Path) -> None:
    """Write into the run's folder where its training leaves its files; outside a run nothing happens.

    Args:
        work: The work volume.
        files: A folder on it; it need not be there yet.

    Raises:
        StepError: The work volume does not take it.
    """
    if run_id := current_run_id():
        document = {"files": files.relative_to(work).as_posix()}
        write_atomically(run_folder(work, run_id) / POINTER, json.dumps(document, indent=1))
