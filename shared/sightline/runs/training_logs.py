"""The training logs of a run, found by the run's name.

The files of a training lie in a folder that is named after what it was made from, so that an interrupted one goes on;
the run's own folder only says where that is.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from sightline import strict_json
from sightline.database import Lineage
from sightline.files import write_atomically
from sightline.runs.journal import current_run_id, run_folder

_POINTER = "training.json"


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
        write_atomically(run_folder(work, run_id) / _POINTER, json.dumps(document, indent=1))


def tensorboard_folder(work: Path, run_id: str, published: str = "") -> str:
    """Where TensorBoard finds the curves of a run; empty where it left none.

    Args:
        work: The work volume.
        run_id: The run.
        published: URI of the folder with the published files of its training: the place where the curves are when
            the work volume has lost them, or is another machine's.
    """
    pointer = run_folder(work, run_id) / _POINTER
    if pointer.is_file():
        folder = work / str(strict_json.decode(pointer.read_bytes())["files"]) / "tensorboard"
        if folder.is_dir():
            return str(folder)
    place = published.removeprefix("file://")
    if place.startswith("/"):
        return f"{place}/tensorboard" if Path(place, "tensorboard").is_dir() else ""
    return f"{place}/tensorboard" if place else ""


def tensorboard_of_run(lineage: Lineage) -> str:
    """The command that shows the training curves of the one run of a lineage; empty where it left none.

    Where the work volume of the run is not here, its published files are looked for beside its candidates.
    """
    from sightline.report.lineage.document import run_configuration

    (run,) = lineage.runs
    configuration = run_configuration(run)
    if "tensorboard" not in configuration.get("train", {}).get("trackers", []):
        return ""
    offered = (
        model.record.uri
        for model in lineage.models
        for one in model.uses
        if one.run_id == run.record.run_id and one.use.role in {"best", "last"}
    )
    published = next(offered, "").rpartition("/")[0]
    work = Path(str(configuration.get("work", {}).get("dir", "")))
    return tensorboard_command(tensorboard_folder(work, run.record.run_id, published))


def tensorboard_command(folder: str) -> str:
    """What shows the curves of :func:`tensorboard_folder` in a browser; empty where there are none."""
    return shlex.join(["tensorboard", "--logdir", folder]) if folder else ""
