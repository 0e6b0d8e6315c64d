"""The location of a run's training logs.

The files of a training are in a folder named by a digest of its inputs, so that an interrupted training can be resumed;
the run's own folder only contains a pointer to it.
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
    """Write a pointer to the training's files to the run's folder; does nothing outside a run.

    Args:
        work: The work volume.
        files: A folder on the work volume; it need not exist yet.

    Raises:
        StepError: The work volume is not writable.
    """
    if run_id := current_run_id():
        document = TRAINING_LOGS.encode(TrainingLogs(files.relative_to(work).as_posix()))
        write_atomically(run_folder(work, run_id) / POINTER, json.dumps(document, indent=1))


def read_training_logs(work: Path, run_id: str) -> Path | None:
    """The folder with the training files of a run; None if it is unknown.

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
