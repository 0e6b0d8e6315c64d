"""The data repository and work folder of a process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sightline.config.schema import Config
from sightline.data.dvc.cache import Cache
from sightline.lock import LOCK_SECONDS


@dataclass(frozen=True, slots=True)
class Workspace:
    """A data repository, the work volume for its checkouts, and the limits of a process.

    Attributes:
        repository: Git URL or path of the data repository.
        folder: The work volume.
        jobs: Number of parallel transfers and hash computations.
        timeout_seconds: Limit for one git or DVC command.
        lock_seconds: How long to wait for another process that uses the same data.
    """

    repository: str
    folder: Path
    jobs: int = 2
    timeout_seconds: float = 3600.0
    lock_seconds: float = LOCK_SECONDS

    @classmethod
    def of(cls, config: Config) -> Workspace:
        """The workspace of a configuration."""
        return cls(
            repository=config.data.repository,
            folder=Path(config.work.dir),
            jobs=config.data.jobs,
            timeout_seconds=config.data.timeout_seconds,
            lock_seconds=config.work.lock_timeout_seconds,
        )

    @property
    def checkouts(self) -> Path:
        """The folder of all checkouts."""
        return self.folder / "checkouts"

    @property
    def publications(self) -> Path:
        """The folder of the clones in which training sets are created."""
        return self.folder / "publish"

    @property
    def cache(self) -> Cache:
        """DVC's cache, shared by all checkouts."""
        return Cache(self.folder.absolute() / "dvc-cache")

    @property
    def cache_lock(self) -> Path:
        """The lock file of the cache: shared while it is filled or read, exclusive while objects are removed."""
        return self.cache.root / "use.lock"  # in the cache, because several work volumes may share it
