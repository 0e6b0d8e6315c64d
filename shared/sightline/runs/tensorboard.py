"""TensorBoard commands for the training curves of a run."""

from __future__ import annotations

import shlex
from pathlib import Path

from sightline.database import Lineage
from sightline.runs.training_logs import read_training_logs


def tensorboard_folder(work: Path, run_id: str, published: str = "") -> str:
    """The folder with the TensorBoard logs of a run; empty if there are none.

    Args:
        work: The work volume.
        run_id: The run.
        published: URI of the folder with the published files of its training, used if the work volume no longer has the
            logs, or belongs to another machine.
    """
    files = read_training_logs(work, run_id)
    if files is not None and (files / "tensorboard").is_dir():
        return str(files / "tensorboard")
    place = published.removeprefix("file://")
    if place.startswith("/"):
        return f"{place}/tensorboard" if Path(place, "tensorboard").is_dir() else ""
    return f"{place}/tensorboard" if place else ""


def tensorboard_of_run(lineage: Lineage) -> str:
    """The command that shows the training curves of the only run of a lineage; empty if it has none.

    If the work volume of the run is not available, its published files next to its candidates are used.
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
    """The command that shows the curves in :func:`tensorboard_folder` in a browser; empty if there are none."""
    return shlex.join(["tensorboard", "--logdir", folder]) if folder else ""
