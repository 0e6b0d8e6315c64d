"""The training logs of a run, found by the run's name.

The files of a training lie in a folder that is named after what it was made from, so that an interrupted one goes on;
the run's own folder only says where that is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sightline.documents import DocumentError, DocumentKind
from sightline.errors import StepError
from sightline.files import write_atomically
from sightline.pod import current_run_id
from sightline.runs.folder import run_folder

POINTER = "training.json"


@dataclass(frozen=True, slots=True)
class TrainingLogs:
    """``training.json`` in the run's folder.

    Attributes:
        files: Folder of the training's files, relative to the work volume.
    """

    files: str


TRAINING_LOGS = DocumentKind("pointer to training logs", TrainingLogs)


def note_training_logs(work: Path, files: Path) -> None:
    """Write into the run's folder where its training leaves its files; outside a run nothing happens.

    Args:
        work: The work volume.
        files: A folder on it; it need not be there yet.

    Raises:
        StepError: The work volume does not take it.
    """
    if run_id := current_run_id():
        document = TRAINING_LOGS.encode(TrainingLogs(files.relative_to(work).as_posix()))
        write_atomically(run_folder(work, run_id) / POINTER, json.dumps(document, indent=1))


def read_training_logs(work: Path, run_id: str) -> Path | None:
    """Where the training of a run leaves its files; None where that is not known.

    Raises:
        StepError: The note in the run's folder cannot be read.
    """
    path = run_folder(work, run_id) / POINTER
    if not path.is_file():
        return None
    try:
        return work / TRAINING_LOGS.decode(path.read_bytes()).files
    except DocumentError as error:
        remedy = error.remedy("remove it; the published files of the training are shown then")
        raise StepError(f"{path} cannot be read ({error}); {remedy}") from error
