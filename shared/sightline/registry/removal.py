"""Removes a dataset version that nothing was made from: first the tombstone, then the database row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sightline.data.git.origin import find_places
from sightline.data.recording.earlier import later_versions
from sightline.data.repository.removal import Removable, find_removable, remove_version
from sightline.data.tags import DatasetTag
from sightline.database import Database, Dependent, open_database
from sightline.errors import DatabaseError, RepositoryError, StepError, StorageError
from sightline.registry.champion_entries import entry_key, entry_numbers, read_entry
from sightline.registry.champions import ChampionName, read_champion
from sightline.registry.named_champion import champion_names
from sightline.registry.store import STEP_OF
from sightline.storage import Storage, open_storage
from sightline.storage.uris import path_of

_RESULT = re.compile(r"results/(?P<step>train|evaluate|test)/[^/]+/[0-9a-f]{16}/result\.json")


class Removal:
    """The removal of one version.

    Args:
        repository: The data repository, or a clone of it on this machine.
        tag: The version.
        database_url: The database with the objects made from it; empty: do not check.
        bucket: URI of the result bucket; empty: do not check.
        timeout_seconds: Limit for one git command.
    """

    def __init__(
        self, repository: str, tag: DatasetTag, database_url: str, bucket: str, timeout_seconds: float = 3600.0
    ) -> None:
        self.tag = tag
        self._repository, self._timeout = repository, timeout_seconds
        self._database_url, self._bucket = database_url, bucket

    def look(self) -> Removable:
        """The version that :meth:`remove` would remove.

        Raises:
            UnknownTagError: There is no such version.
            RepositoryError: Objects were made from it; the message lists them.
            DatabaseError: The database cannot be read.
            StorageError: The result bucket cannot be read.
        """
        found = find_removable(self._repository, self.tag, self._timeout)
        if not found.done:
            self._require_unused()
        return found

    def remove(self, why: str) -> Removable:
        """Remove the version; the errors are those of :meth:`look`.

        Raises:
            StepError: An object was made from it while it was being removed.
        """
        planned = self.look()
        found = remove_version(self._repository, self.tag, why, self._timeout)
        if not planned.done:
            self._require_unused_still(found)
        database = self._open()
        if database is not None:
            with closing(database):
                database.retire_version(found.tombstone.tag, found.tombstone.commit)
        return found

    def later(self) -> list[str]:
        """The training sets that keep the splits of this one, so that its images also keep their splits."""
        return later_versions(self.origin, self.tag, self._timeout) if self.tag.kind == "train" else []

    @property
    def origin(self) -> str:
        """The repository from which it is removed."""
        return find_places(self._repository, self._timeout).origin

    def _require_unused(self) -> None:
        used = self._dependents()
        if used:
            raise RepositoryError(
                f"{self.tag} cannot be removed, because it is needed: {'; '.join(map(str, used))}. Only a version that "
                "nothing was trained on or measured on can be removed; add corrected data as a new version. (Stop a "
                "run that is still in progress; one whose process was killed is closed by the next run on its machine.)"
            )

    def _require_unused_still(self, found: Removable) -> None:
        used = self._dependents()
        if used:
            raise StepError(
                f"{found.tombstone}, but came into use in the meantime: {'; '.join(map(str, used))}; stop that run, "
                "and start it again with another version"
            )

    def _dependents(self) -> list[Dependent]:
        database = self._open()
        known = []
        if database is not None:
            with closing(database):
                known = database.dependents(str(self.tag.annotations), str(self.tag.training))
        return list(dict.fromkeys([*known, *self._published()]))

    def _open(self) -> Database | None:
        """The database; None if it is not checked, or does not exist on this machine yet."""
        url = self._database_url
        if not url or (url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file()):
            return None
        try:
            return open_database(url, create=False)
        except DatabaseError as error:
            raise DatabaseError(
                f"{self.tag} is kept, because the database that records what was made from it cannot be read: {error}. "
                "Give it with --database URL, or add --unchecked if nothing was made from it"
            ) from error

    def _published(self) -> Iterator[Dependent]:
        """Results in the result bucket that were made from it."""
        if not self._bucket:
            return
        training = str(self.tag.training)
        try:
            storage = open_storage(self._bucket)
            if storage.uri.startswith("file:") and not path_of(storage.uri).is_dir():
                return
            for step in (step for step in STEP_OF.values() if step != "record"):
                for key in storage.names(f"results/{step}/{training}/"):
                    if _RESULT.fullmatch(key):
                        yield Dependent(f"{step} result", storage.uri_of(key))
            for name in champion_names(storage, self.tag.dataset):
                pointer, _ = read_champion(storage, name.dataset, name.metric, name.task)
                if pointer is not None and pointer.training_tag == training:
                    yield Dependent("champion", storage.uri_of(name.key))
                yield from _former(storage, name, training, "" if pointer is None else pointer.sha256)
        except StorageError as error:
            raise StorageError(
                f"{self.tag} is kept, because the result bucket cannot be searched for what was made from it: "
                f"{error}. Give it with --bucket URI, or add --unchecked if nothing was made from it"
            ) from error


def _former(storage: Storage, name: ChampionName, training: str, present: str) -> Iterator[Dependent]:
    """Former champions that were made from a training tag: a rollback may need them."""
    for number in entry_numbers(storage, name):
        entry = read_entry(storage, name, number)
        if entry.training_tag == training and entry.sha256 != present:
            yield Dependent("champion", storage.uri_of(entry_key(name, number)))
