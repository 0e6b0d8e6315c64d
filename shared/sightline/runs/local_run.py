"""One run of the pipeline on this machine: its journal, its row in the database, its page."""

from __future__ import annotations

import os
import secrets
import shlex
import socket
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sightline.config.schema import Config
from sightline.data.git.commands import explain_os_errors
from sightline.database import RunState, open_database
from sightline.errors import SightlineError, StepError
from sightline.logs import ProgressRecord
from sightline.registry.store import STEP_OF
from sightline.runs import resolve
from sightline.runs.abandoned import close_abandoned
from sightline.runs.document import RunDocument, champion_lines, result_line, run_record
from sightline.runs.folder import run_folder
from sightline.runs.journal import BY_HAND, finishing, read_journal
from sightline.runs.pages import write_pages
from sightline.runs.signals import Interruptions
from sightline.storage import open_storage


class LocalRun:
    """A run on this machine, as a context manager that closes the run and writes its page, even after an error."""

    def __init__(self, config: Config, document: RunDocument) -> None:
        self.config = config
        self.document = document
        self._work = Path(config.work.dir)
        self._began = time.monotonic()
        self._interruptions = Interruptions()

    @classmethod
    def begin(cls, recipe: str, overrides: Sequence[str], steps: Sequence[str], *, entry_point: str) -> Self:
        """Check the configuration and create the run.

        Args:
            recipe: Name or path of a recipe.
            overrides: ``a.b=value``.
            steps: The steps to run.
            entry_point: How this program was started, for the command that repeats the run.

        Raises:
            ConfigurationError: With all faults; nothing was started.
            StorageError: The result bucket is not accessible; nothing was started.
        """
        resolved = resolve.run(recipe, "\n".join(overrides), "", "")
        if "train" in steps and resolved.config.train.device == "cuda":  # a Kubeflow run trains on another machine
            from sightline.models.device import choose_device

            choose_device("cuda")
        open_storage(resolved.config.storage.uri)  # fail before the run starts if the bucket is not accessible
        now = datetime.now(UTC)
        document = RunDocument(
            run_id=_new_run_id(Path(resolved.config.work.dir), now),
            recipe=recipe,
            overrides=list(overrides),
            steps=list(steps),
            dataset_tag=resolved.config.data.tag,
            code_rev=resolved.code_rev,
            configuration=resolved.config.model_dump(mode="json"),
            command=_command(entry_point, recipe, overrides, steps),
            state="running",
            started=now.isoformat(timespec="seconds"),
            seconds=0.0,
            pid=os.getpid(),
            host=socket.gethostname(),
        )
        return cls(resolved.config, document)

    @property
    def folder(self) -> Path:
        """The run's own folder on the work volume."""
        return run_folder(self._work, self.document.run_id)

    @property
    def page(self) -> Path:
        """The page of the run."""
        return self.folder / "report" / "index.html"

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the pipeline."""
        return {"recipe": self.document.recipe, "overrides": "\n".join(self.document.overrides)}

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that identify the run to its tasks."""
        return {"SIGHTLINE_RUN_ID": self.document.run_id}

    def __enter__(self) -> Self:
        close_abandoned(self._work)
        self._began = time.monotonic()
        self._interruptions.begin()
        with closing(open_database(self.config.database.url)) as database:
            database.start_run(run_record(self.document))
            try:
                write_pages(self.config, self.document)
            except SightlineError as error:
                database.finish_run(self.document.run_id, "failed", str(error))
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interruptions.close()
        self.document.seconds = time.monotonic() - self._began
        try:
            self._end(kind, error)
        finally:
            self._interruptions.end()

    def _end(self, kind: type[BaseException] | None, error: BaseException | None) -> None:
        if kind is None:
            self._close("succeeded", "")
        elif issubclass(kind, Exception):
            reason = self._reason(error)
            try:
                self._close("failed", reason)
            except SightlineError as fault:
                raise StepError(f"{reason}\nand the report of the run could not be written: {fault}") from error
            raise StepError(f"{reason}\nreport: {self.page}") from error
        else:
            self._close("interrupted", BY_HAND)

    def result_line(self) -> str:
        """``result: box_AP50=... seconds=...`` of the run's own best candidate, on test if it was tested."""
        return result_line(self._work, self.document)

    def champion_lines(self) -> list[str]:
        """The state of the champion if the run promoted none, and the decisions of the gate."""
        return champion_lines(self._work, self.document)

    def _close(self, state: RunState, message: str) -> None:
        self.document.state, self.document.message = state, message
        with finishing(self._work, self.document.run_id) as done:
            with closing(open_database(self.config.database.url)) as database:
                database.finish_run(self.document.run_id, state, message)
            done()
            write_pages(self.config, self.document)

    def _reason(self, error: BaseException | None) -> str:
        """Why the run failed: the error of its task, or the end of the log."""
        for step, entry in read_journal(self._work, self.document.run_id).items():
            if entry.state in {"failed", "interrupted"}:
                return f"{step}: {entry.message}"
        log = self.folder / "pipeline.log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        lines = [line for line in lines if ProgressRecord.parse(line) is None][-20:]
        return "\n".join([f"the pipeline failed before a task reported a reason ({error}); {log} ends with:", *lines])


def _new_run_id(work: Path, now: datetime) -> str:
    """A new id on this work volume, which is reserved by creating the folder."""
    with explain_os_errors("create the folder of the run", work):
        (work / "runs").mkdir(parents=True, exist_ok=True)
        while True:
            run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            with suppress(FileExistsError):
                run_folder(work, run_id).mkdir()
                return run_id


def _command(entry_point: str, recipe: str, overrides: Sequence[str], steps: Sequence[str]) -> str:
    arguments = [*entry_point.split(), "run", "--local", "--recipe", recipe]
    for override in overrides:
        arguments += ["--set", override]
    if list(steps) != list(STEP_OF.values()):
        arguments += ["--steps", ",".join(steps)]
    home = os.environ.get("SIGHTLINE_HOME")
    return " ".join([*([f"SIGHTLINE_HOME={shlex.quote(home)}"] if home else []), shlex.join(arguments)])
