"""Adds a dataset version: check, copy, push, commit, tag; the user's own folders are changed last."""

from __future__ import annotations

import logging
import os
import random
import re
import shlex
import shutil
import time
from dataclasses import dataclass
from functools import cached_property

from sightline.config.data import Data, Faults
from sightline.data.annotations import Annotations
from sightline.data.dvc.cache import Cache
from sightline.data.dvc.configuration import local_settings
from sightline.data.dvc.manifest import Manifest, manifest_md5
from sightline.data.dvc.objects import TrackedFolder, read_dvc_file
from sightline.data.dvc.publish import list_fault
from sightline.data.dvc.remote import open_remote
from sightline.data.folder_files import FolderFiles, first_names, shown
from sightline.data.formats.reading import stopping_faults
from sightline.data.formats.registry import read_annotations
from sightline.data.git.branch import DETACHED, Branch, Published
from sightline.data.git.origin import fetch_dataset_tags
from sightline.data.git.references import TAGS, read_references
from sightline.data.repository.finishing import Finish, blocked, finish, read_note, remove_note, set_tag
from sightline.data.repository.history import list_tags, open_history
from sightline.data.repository.revival import require_removed_contents
from sightline.data.repository.staging import Staging, staging, staging_root
from sightline.data.repository.working_folder import Known, require_own_folder
from sightline.data.tags import DatasetTag
from sightline.errors import DataError, RepositoryError

ATTEMPTS = 20
"""Maximum number of push attempts if other users push first."""

ANY_CLASS = "(any)"
SHOWN_FAULTS = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Addition:
    """One execution of ``sightline data add``.

    Attributes:
        branch: The data repository.
        tag: The new version.
        found: The files of the folder.
        wanted: MD5 of each file.
        jobs: Number of parallel transfers and hash computations.
        details: Further paragraphs of the commit message.
    """

    branch: Branch
    tag: DatasetTag
    found: FolderFiles
    wanted: Manifest
    jobs: int
    details: str = ""

    @cached_property
    def known(self) -> Known:
        """Checks which files of ``annotations/<dataset>`` belong to any version."""
        root, _ = local_settings(self.branch.root / ".dvc")
        return Known(self.branch, self.tag, self.wanted, Cache(root), self.jobs)

    def run(self) -> tuple[str, bool]:
        """Add the version; returns its commit, and whether it is new."""
        published = self.branch.published()
        fetch_dataset_tags(self.branch, published.references, self.tag.dataset)
        commit = self._tags(published).get(str(self.tag))
        if commit is not None:
            return self._complete(commit, published), False
        self._require_removed_contents()
        base = self.branch.base(published)
        require_own_folder(self.branch, base, self.tag)
        in_place = self._is_in_place()
        if not in_place:
            self.known.require_saved(self.branch.root / self.tag.folder)
        self._require_free(base)
        with staging(self.branch, self.tag, "add") as stage:
            stage.prepare(base)
            stage.copy(self.found, self.wanted, self.jobs)
            self._publish(stage)
            return self._commit(stage, published, base, in_place)

    def _publish(self, stage: Staging) -> None:
        tracked = stage.publish(self.jobs)
        if tracked.md5 != manifest_md5(self.wanted):
            raise RepositoryError(
                f"DVC stored files in {self.tag} that differ from {self.found.root} (list of files {tracked.md5}, "
                f"expected {manifest_md5(self.wanted)}); no tag was set: run the same command again"
            )

    def _commit(self, stage: Staging, published: Published, base: str, in_place: bool) -> tuple[str, bool]:
        """Commit on top of the remote's branch; retry if another user pushed first."""
        staged = "" if in_place else stage.files.relative_to(staging_root(self.branch.root)).as_posix()
        for attempt in range(ATTEMPTS):
            # A removed version stays removed under its old commit, so a version that is brought back gets a new commit.
            back = bool(self._require_removed_contents())
            message = f"{'Bring back' if back else 'Add'} {self.tag.dataset} {self.tag.version}: "
            message += f"{len(self.wanted)} annotation files and images"
            message += f"\n\n{self.details}" if self.details else ""
            commit = stage.commit(base, message, always=back)
            task = Finish(str(self.tag), self.branch.head(), commit, commit, self.branch.ref, staged)
            task.write(self.branch.root)
            try:
                if self.branch.remote:
                    there = published.references.objects.get(f"{TAGS}{self.tag}", "")
                    self.branch.push(commit, str(self.tag), "" if str(self.tag) in published.tags else there)
            except RepositoryError as error:
                published = self.branch.published()
                fetch_dataset_tags(self.branch, published.references, self.tag.dataset)
                other = published.tags.get(str(self.tag))
                if other is not None and other != commit:
                    remove_note(self.branch.root)
                    return self._complete(other, published), False
                if other is None:
                    remove_note(self.branch.root)
                    if attempt + 1 == ATTEMPTS or (published.tip in {"", base} and not _is_locked(error)):
                        raise
                    time.sleep(random.uniform(0, 0.1 * (attempt + 1)))  # noqa: S311  (avoids repeated collisions)
                    base = self.branch.base(published)
                    self._require_free(base)
                    continue
            finish(self.branch, task, self.known)
            return commit, True
        raise AssertionError  # unreachable: the last attempt returns or raises

    def _complete(self, commit: str, published: Published) -> str:
        """Compare with an existing version, and push what the remotes lack.

        Raises:
            RepositoryError: The contents differ.
        """
        tracked = read_dvc_file(
            self.branch.git("show", f"{commit}:{self.tag.dvc_file}"), f"{self.tag.dvc_file} of {self.tag}"
        )
        if tracked.md5 != manifest_md5(self.wanted):
            raise self._differs()
        self._heal(commit, tracked)
        set_tag(self.branch, str(self.tag), commit)
        if self.branch.remote and str(self.tag) not in published.tags:
            base = self.branch.base(published)
            ahead = base == self.branch.head() != published.tip and self.branch.ref != DETACHED
            branch = [f"{base}:{self.branch.remote_ref}"] if ahead else []
            self.branch.push_references([*branch, f"refs/tags/{self.tag}:refs/tags/{self.tag}"])
            _log.info("%s pushed to %s", self.tag, self.branch.remote)
        return commit

    def _differs(self) -> RepositoryError:
        try:
            with open_history(str(self.branch.root), [self.tag], self.branch.timeout_seconds) as history:
                present = history.manifest(self.tag)
        except RepositoryError as error:
            counts = f"its list of files cannot be read: {error}"
        else:
            added, removed = len(self.wanted.keys() - present.keys()), len(present.keys() - self.wanted.keys())
            changed = sum(present[name] != self.wanted[name] for name in present.keys() & self.wanted.keys())
            counts = f"{added} files would be added, {removed} removed, {changed} changed"
        return RepositoryError(
            f"{self.tag} exists with other contents ({counts}), and a version never changes; add the folder under "
            "another --version"
        )

    def _heal(self, commit: str, tracked: TrackedFolder) -> None:
        """Push objects that are missing or damaged on the DVC remote again."""
        config = self.branch.git("show", f"{commit}:.dvc/config")
        remote = open_remote(config, self.tag.room, str(self.branch.root))
        files = {md5: self.found.root / name for name, md5 in self.wanted.items()}
        faults = remote.faults(files) | dict.fromkeys(remote.damaged({*files}), "damaged")
        if fault := list_fault(remote, tracked, self.tag):
            faults[tracked.md5] = fault
        if not faults:
            return
        _log.warning(
            "the DVC remote %s lacks %d of the %d objects of %s; pushing them again",
            remote.url, len(faults), len(files) + 1, self.tag,
        )  # fmt: skip
        for md5, fault in faults.items():
            self.known.cache.forget_damaged(md5)
            if fault == "damaged":
                remote.forget(md5)
        with staging(self.branch, self.tag, "heal") as stage:
            stage.prepare(commit)
            stage.copy(self.found, self.wanted, self.jobs)
            self._publish(stage)

    def _is_in_place(self) -> bool:
        return os.path.realpath(self.found.root) == os.path.realpath(self.branch.root / self.tag.folder)

    def _require_free(self, base: str) -> None:
        paths = blocked(self.branch, base, self.tag, self.known, manifest_md5(self.wanted))
        if paths:
            names = first_names(paths, "file", limit=20)
            raise RepositoryError(
                f"uncommitted changes in {self.branch.root} would be overwritten ({names}); nothing was changed: "
                "commit or undo them, then run the same command again"
            )

    def _require_removed_contents(self) -> frozenset[str]:
        """The commits that the tag had when it was removed; only the same contents may be added again.

        Raises:
            RepositoryError: The contents of the folder differ.
        """
        root, timeout = str(self.branch.root), self.branch.timeout_seconds
        removed = read_references(root, timeout).removed.get(str(self.tag), frozenset())
        if removed:
            require_removed_contents(root, self.tag, removed, self.wanted, timeout)
        return removed

    def _tags(self, published: Published) -> dict[str, str]:
        return list_tags(str(self.branch.root), self.branch.timeout_seconds) | dict(published.tags)


def complete_interrupted(branch: Branch, jobs: int) -> None:
    """Complete an addition that a killed command had published, and remove its temporary files."""
    task = read_note(branch.root)
    if task is not None:
        tag = DatasetTag.parse(task.tag)
        if not branch.remote or branch.published().tags.get(task.tag) == task.commit:
            root, _ = local_settings(branch.root / ".dvc")
            finish(branch, task, Known(branch, tag, {}, Cache(root), jobs))
        remove_note(branch.root)
    for left in staging_root(branch.root).glob("*"):
        if left.name != "replaced":
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def check(found: FolderFiles, jobs: int) -> tuple[Annotations, list[str]]:
    """Read the annotations as ``sightline check`` does.

    Returns:
        The annotations, and each fault that would stop record with the recipes' policies.

    Raises:
        DataError: The folder contains no annotations.
    """
    data = Data(repository="-", classes=(ANY_CLASS,), jobs=jobs)
    annotations = read_annotations(found.root, data, classes_known=False)
    faults = [str(fault) for fault in stopping_faults(annotations, data.faults)]
    return annotations, [*faults, *unstored_images(annotations, found)]


def unstored_images(annotations: Annotations, found: FolderFiles) -> list[str]:
    """A fault for each image that an annotation refers to but that would not be part of the version."""
    taken = set(found.files)
    return [
        f"{image.file}: image {shown(image.image)} is a hidden or temporary file, which cannot be part of a version; "
        "rename it, and correct imagePath"
        for image in annotations.images
        if image.embedded is None and image.image not in taken
    ]


def require_no_fault(found: FolderFiles, faults: list[str], annotations: Annotations) -> None:
    """Refuse a folder with faults that would stop record.

    Raises:
        DataError: There are faults; the message shows the first of them.
    """
    if faults:
        more = [f"  and {len(faults) - SHOWN_FAULTS} more"] if len(faults) > SHOWN_FAULTS else []
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise DataError(
            "\n".join([
                f"{found.root} has {count} that would stop record; nothing was stored: fix the annotations "
                f"(sightline check {shlex.quote(str(found.root))} lists all faults), or add the folder with "
                f"--allow-faults{_for_record(annotations)}",
                *(f"  {fault}" for fault in faults[:SHOWN_FAULTS]),
                *more,
            ])
        )  # fmt: skip


def _for_record(annotations: Annotations) -> str:
    """The settings with which record accepts a folder that was added with its faults."""
    kinds = {fault.kind for fault in stopping_faults(annotations, Faults())}
    ways = [f"--set data.faults.{kind}=drop" for kind in sorted(kinds - {"unknown_label"})]
    if "unknown_label" in kinds:
        ways.append("data.aliases for other spellings of a label (add prints the complete command)")
    return f" and record it with {' and '.join(ways)}" if ways else ""


def _is_locked(error: RepositoryError) -> bool:
    """Whether a push failed because a concurrent push locked the same reference."""
    return re.search(r"cannot lock ref|failed to update ref|\.lock", str(error)) is not None
