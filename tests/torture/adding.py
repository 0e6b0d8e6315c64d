"""A shared data repository, clones of it, and folders of photos; and what must hold of them at every moment."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sightline.data.git.commands import git
from sightline.data.git.references import TAGS, read_references
from sightline.data.repository.creation import init_repository
from sightline.data.repository.history import list_tags, open_history
from sightline.data.tags import DatasetTag
from tests.labelled_folder import names, write_images
from tests.torture import tortured

OTHER = "annotations/plants"
"""Another dataset's folder, in which a person works."""


class Shop:
    """A bare repository that people share, a DVC remote, and a clone for each of them.

    Attributes:
        origin: The repository that they share.
        remote: The DVC remote, a folder.
        photos: Version -> a folder; the user's own, which nothing may change.
    """

    def __init__(self, folder: Path, people: tuple[str, ...], versions: tuple[str, ...]) -> None:
        self.folder, self.origin, self.remote = folder, folder / "origin.git", folder / "remote"
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        init_repository(folder / "seed", str(self.remote))
        git("clone", "--quiet", "--bare", str(folder / "seed"), str(self.origin), timeout_seconds=60)
        self.clones = {name: self._clone(name) for name in people}
        self.photos = {version: self._photos(version, number) for number, version in enumerate(versions)}
        self.own = {version: files_of(photos) for version, photos in self.photos.items()}
        self.work = {name: files_of(clone / OTHER) | own_files(clone) for name, clone in self.clones.items()}

    def _clone(self, name: str) -> Path:
        clone = self.folder / name
        git("clone", "--quiet", str(self.origin), str(clone), timeout_seconds=60)
        (clone / OTHER).mkdir(parents=True)
        (clone / OTHER / "rose.json").write_text(f"{name} labels roses")
        (clone / "notes.txt").write_text(f"what {name} has to do")
        return clone

    def _photos(self, version: str, number: int) -> Path:
        """Four images, of which two are in the next version too."""
        return write_images(self.folder / f"photos-{version}", names(4, start=2 * number))

    def start(self, context: Any, work: str, person: str, tag: str) -> Any:
        """``add`` or ``remove`` a version in the clone of a person, in a warm process."""
        clone, log = str(self.clones[person]), str(self.log_of(person))
        version = DatasetTag.parse(tag).version
        if work == "add":
            target: tuple[Any, ...] = (tortured.add_version, log, {}, clone, str(self.photos[version]), tag)
        else:
            database, bucket = f"sqlite:///{self.folder}/none.sqlite", str(self.folder / "bucket")
            target = (tortured.take_back, log, {}, clone, tag, database, bucket)
        process = context.Process(target=tortured.watched, args=target, daemon=True)
        process.start()
        return process

    def log_of(self, person: str) -> Path:
        return self.logs / f"{person}.log"

    def end_of_log(self, person: str) -> str:
        return self.log_of(person).read_text(errors="replace")[-3000:] if self.log_of(person).exists() else ""

    def faults(self, among: Collection[str] = ()) -> Iterator[str]:
        """What must not be, whatever was killed or goes on; of the versions, those ``among``, or all."""
        for version, photos in self.photos.items():
            if files_of(photos) != self.own[version]:
                yield f"{photos} was changed"
        for name, clone in self.clones.items():
            if files_of(clone / OTHER) | own_files(clone) != self.work[name]:
                yield f"work of {name} was changed"
        for place in (self.origin, *self.clones.values()):
            for tag in set(list_tags(str(place), 60)) & set(among) if among else list_tags(str(place), 60):
                yield from (f"{place.name}: {fault}" for fault in self._faults_of(place, DatasetTag.parse(tag)))
            done = subprocess.run(
                ["git", "-C", str(place), "fsck", "--strict", "--no-dangling"],
                capture_output=True,
                text=True,
                check=False,
            )
            # A git that is killed leaves objects half-written, under names that nobody looks for.
            if done.returncode or done.stdout:
                yield f"git fsck of {place.name}: {done.stdout}{done.stderr}"

    def _faults_of(self, place: Path, tag: DatasetTag) -> Iterator[str]:
        """A version that is there is there as a whole, and holds what was added."""
        with open_history(str(place), [tag], 60) as history:
            manifest = history.manifest(tag)
        wanted = dict(self.own[tag.version])
        if manifest != wanted:
            yield f"{tag} holds {sorted(manifest)}, not {sorted(wanted)}"
        for name, md5 in manifest.items():
            path = self.remote / "annotations" / "files" / "md5" / md5[:2] / md5[2:]
            if not path.is_file() or hashlib.md5(path.read_bytes()).hexdigest() != md5:
                yield f"{tag} needs {name}, which the remote does not have"

    def versions(self, place: Path | None = None) -> dict[str, str]:
        return list_tags(str(place or self.origin), 60)

    def removals(self) -> int:
        """How many tombstones there are."""
        return sum(len(commits) for commits in read_references(str(self.origin), 60).removed.values())

    def left_over(self) -> list[str]:
        """Locks and halves, and tags of removed versions."""
        found = [path for place in (self.origin, *self.clones.values()) for path in _git_dir(place).rglob("*.lock")]
        left = [str(path) for path in found if path.name != "sightline.lock"]
        for place in (self.origin, *self.clones.values()):
            there = read_references(str(place), 60)
            left += [
                f"{place.name} {tag}" for tag in there.removed if f"{TAGS}{tag}" in there.objects.keys() - _live(there)
            ]
        return sorted(left)


def _live(references: Any) -> set[str]:
    return {f"{TAGS}{tag}" for tag in references.tags}


def _git_dir(place: Path) -> Path:
    return place / ".git" if (place / ".git").is_dir() else place


def files_of(folder: Path) -> dict[str, str]:
    """Every file below a folder, with the MD5 of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def own_files(clone: Path) -> dict[str, str]:
    return {"notes.txt": (clone / "notes.txt").read_text()}
