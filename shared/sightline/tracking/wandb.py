"""Trainings for Weights & Biases, in its offline mode; ``wandb sync`` sends them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.tracking.curves import draw_curves, read_curves
from sightline.tracking.description import TrackedTraining
from sightline.tracking.record import Record
from sightline.tracking.recording import RecordingTracker, require_package

if TYPE_CHECKING:
    from wandb import Run

_DEFAULTS = {"WANDB_ERROR_REPORTING": "false", "WANDB_DISABLE_GIT": "true"}


class WandbTracker(RecordingTracker):
    """Writes one run to ``<folder>/wandb/offline-run-...``.

    Its writer keeps the last 32 kB in memory, which a killed process loses.  So a resumed training writes the run
    again, from the file with its records, and removes the incomplete one.

    Args:
        training: The training.  Its key is the id of the run.

    Raises:
        ConfigurationError: Weights & Biases is not installed.
    """

    def __init__(self, training: TrackedTraining) -> None:
        require_package("wandb", "wandb")
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        self._training = training
        self._run: Run | None = None
        self._images = training.folder / "wandb-images"
        self._replaces = (training.folder / "wandb-log.jsonl").exists() or training.resume_iteration == 0
        super().__init__("wandb", training, self._deliver)

    def _deliver(self, records: Sequence[Record]) -> None:
        if self._run is None:
            self._run = self._start()
        refused = None
        for record in (one for one in records if not one.is_done):
            try:
                self._log(self._run, record)
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001  (the outbox reports it, after the other records)
                refused = error
            record.is_done = True
        if refused is not None:
            raise refused

    def _start(self) -> Run:
        import wandb

        if self._replaces:
            for incomplete in (self._training.folder / "wandb").glob("offline-run-*"):
                shutil.rmtree(incomplete)
        settings = wandb.Settings(
            console="off",
            silent=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
        name = " ".join(part for part in (self._training.dataset, self._training.key[:8]) if part)
        try:
            run = wandb.init(
                mode="offline",
                dir=self._training.folder,
                id=self._training.key or None,
                project=os.environ.get("WANDB_PROJECT", "") or self._training.dataset,
                name=name,
                config={name: value for name, value in self._training.tags.items() if value},
                settings=settings,
            )
        except Exception as error:
            raise OSError(f"its writer does not start: {error}") from error
        run.define_metric("iteration")
        run.define_metric("*", step_metric="iteration")
        return run

    def _log(self, run: Run, record: Record) -> None:
        if record.kind == "parameters":
            run.config.update(record.values, allow_val_change=True)  # type: ignore[no-untyped-call]
        elif record.kind == "metrics":
            self._add(run, record, record.values)
        elif record.kind == "images":
            self._log_images(run, record)
        elif record.kind == "curves":
            figure = draw_curves(f"{record.name} after iteration {record.iteration}", read_curves(record.values))
            path = self._image_path(record)
            figure.savefig(path)
            self._add_images(run, record, [{"path": str(path), "caption": ""}])
        elif record.kind == "model":
            for metric, value in record.values["metrics"].items():
                run.summary[f"model/{record.name}/{metric}"] = value
        else:
            run.finish(exit_code=int(record.values != "FINISHED"))
            if record.values == "FINISHED":
                shutil.rmtree(self._images, ignore_errors=True)

    def _log_images(self, run: Run, record: Record) -> None:
        """Log images from files, so that they can be logged again after a resume."""
        if not isinstance(record.values, list):  # else it is from the file with the records
            from PIL import Image

            stored = []
            for index, image in enumerate(record.values):
                path = self._image_path(record, index)
                Image.fromarray(image.pixels).save(path, compress_level=1)
                stored.append({"path": str(path), "caption": image.caption})
            record.values = stored
            self._file.append(record.document())
        self._add_images(run, record, [one for one in record.values if Path(one["path"]).is_file()])

    def _image_path(self, record: Record, index: int = 0) -> Path:
        self._images.mkdir(exist_ok=True)
        name = re.sub(r"[^\w.-]", "-", record.name)
        return self._images / f"{record.kind}-{record.iteration:08d}-{name}-{index}.png"

    def _add_images(self, run: Run, record: Record, images: Sequence[dict[str, str]]) -> None:
        import wandb

        name = record.name if record.kind == "images" else f"{record.kind}/{record.name}"
        self._add(run, record, {name: [wandb.Image(image["path"], caption=image["caption"]) for image in images]})

    def _add(self, run: Run, record: Record, values: dict[str, object]) -> None:
        run.log({**values, "iteration": record.iteration, "_timestamp": record.milliseconds / 1000})


TRACKER = WandbTracker
