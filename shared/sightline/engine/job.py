"""What the processes of a training are told, and what they report: small files in the training's folder.

The folder is on the work volume, so that processes on other nodes read and write the same files.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from sightline import errors, strict_json
from sightline.config.decode import from_json
from sightline.config.schema import Config
from sightline.data.repository.checkout import Checkout
from sightline.engine.checkpoints import BucketFolder, Checkpoints
from sightline.errors import SightlineError, StepError
from sightline.files import write_atomically
from sightline.registry import store
from sightline.registry.results import RecordResult
from sightline.storage.uris import open_storage

FOLDER = "processes"
"""Folder for these files, in the folder of the training."""

HEARTBEAT = "heartbeat"
"""File that the step changes every few seconds while its processes run on other nodes."""

NODES_LOG = "log.txt"
"""Log of the first process, if it runs on another node than the step."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training, for the processes that carry it out.

    Attributes:
        config: The complete configuration.
        code_rev: The code revision, for the model's description.
        record: The training set.
        source: Its files on the work volume.
        folder: The folder of the training on the work volume, with ``files`` and ``checkpoints``.
        copy: Key of the folder in the result bucket for copies of the checkpoints.
    """

    config: Config
    code_rev: str
    record: RecordResult
    source: Checkout
    folder: Path
    copy: str

    @property
    def files(self) -> Path:
        """Folder for the models and the trackers' files."""
        return self.folder / "files"

    def checkpoints(self) -> Checkpoints:
        """The checkpoints of the training; each process opens its own."""
        copy = BucketFolder(open_storage(self.config.storage.uri), self.copy)
        return Checkpoints(self.folder / "checkpoints", copy, minutes=self.config.train.checkpoint_minutes)

    def write(self) -> Path:
        """Write the job for new processes, and remove what earlier ones reported."""
        folder = self.folder / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        document = {
            "config": self.config.model_dump_json(),
            "code_rev": self.code_rev,
            "record": store.to_json(self.record),
            "source": [str(self.source.path), self.source.tag, self.source.commit],
            "folder": str(self.folder),
            "copy": self.copy,
        }
        write_atomically(folder / "job.json", json.dumps(document, indent=1))
        return folder / "job.json"

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read the file that :meth:`write` wrote."""
        document = strict_json.decode(path.read_bytes())
        place, tag, commit = document["source"]
        return cls(
            from_json(document["config"]),
            document["code_rev"],
            store.from_json(RecordResult, document["record"]),
            Checkout(Path(place), tag, commit),
            Path(document["folder"]),
            document["copy"],
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a process of a training ended.

    Attributes:
        rank: Number of the process, from 0.
        kind: Name of the exception's class.
        message: The message of the exception.
        follows: Whether it only lost the connection to another process, which is the one that failed.
    """

    rank: int
    kind: str
    message: str
    follows: bool = False

    def write(self, folder: Path) -> None:
        """Write the failure to the files of the job in ``folder``."""
        document = {"rank": self.rank, "kind": self.kind, "message": self.message, "follows": self.follows}
        write_atomically(folder / f"failure-{self.rank}.json", json.dumps(document))

    def error(self, size: int) -> SightlineError:
        """The exception to raise for the whole training; errors of Sightline keep their class.

        Args:
            size: Number of processes.
        """
        where = f"rank {self.rank} of {size}"
        kind = getattr(errors, self.kind, None)
        if isinstance(kind, type) and issubclass(kind, SightlineError):
            return kind(self.message if self.rank == 0 else f"{self.message} (in {where})")
        return StepError(
            f"{where} of the training processes failed ({self.kind}: {self.message}); the log of the training has the "
            "traceback"
        )


def read_failures(folder: Path) -> list[Failure]:
    """The failures that the processes of a job reported, the most informative one first."""
    found = [Failure(**strict_json.decode(path.read_bytes())) for path in folder.glob("failure-*.json")]
    return sorted(found, key=lambda failure: (failure.follows, failure.rank))
