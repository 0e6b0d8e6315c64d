"""Where a process finds versions of data, and where it keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sightline.config.schema import Config
from sightline.data.dvc.cache import Cache
from sightline.lock import LOCK_SECONDS


@dataclass(frozen=True, slots=True)
class Workspace:
    """A data repository, the work volume that its versions are checked out on, and the limits of one process.

    Attributes:
        repository: Git URL or path of the data repository.
        folder: The work volume.
        jobs: Parallel transfers and hashing.
        timeout_seconds: Limit for one git or DVC command.
        lock_seconds: How long to wait for another process that works on the same.
    """

    repository: str
    folder: Path
    jobs: int = 2
    timeout_seconds: float = 3600.0
    lock_seconds: float = LOCK_SECONDS

    @classmethod
    def of(cls, config: Config) -> Workspace:
        """The workspace that a configuration describes."""
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
        """The folder of the clones in which training sets are made."""
        return self.folder / "publish"

    @property
    def cache(self) -> Cache:
        """DVC's cache, shared by all checkouts."""
        return Cache(self.folder.absolute() / "dvc-cache")

    @property
    def cache_lock(self) -> Path:
        """The lock file of the cache: held together by those who fill or read it, alone by one who removes objects."""
        return self.cache.root / "use.lock"  # there, because several work volumes may share one cache
