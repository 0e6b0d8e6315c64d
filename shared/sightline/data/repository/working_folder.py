"""``annotations/<dataset>`` of a data repository: files of a version, and possibly files that are not stored yet."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sightline.data.dvc.cache import Cache
from sightline.data.dvc.manifest import Manifest
from sightline.data.dvc.objects import file_md5, for_each_file, read_dvc_file
from sightline.data.dvc.remote import open_remote
from sightline.data.folder_files import LITTER, first_names
from sightline.data.git.branch import Branch
from sightline.data.tags import DatasetTag, dataset_tags
from sightline.errors import DataError, RepositoryError

_NO_FILE = "no regular file"


def require_apart(folder: Path, root: Path, tag: DatasetTag) -> None:
    """Reject a folder that the addition would read and write at the same time.

    Args:
        folder: The folder to add.
        root: The data repository.
        tag: The new version.

    Raises:
        DataError: The folder contains the repository, or is inside ``.git``, ``.dvc`` or the folder that the version
            would replace.  The folder of the version itself is allowed: it is not changed.
    """
    place, top = Path(os.path.realpath(folder)), Path(os.path.realpath(root))
    target = Path(os.path.realpath(root / tag.folder))
    if top.is_relative_to(place):
        raise DataError(f"{folder} contains the data repository {root}; give only the folder of the annotations")
    for name in (".git", ".dvc"):
        inner = Path(os.path.realpath(root / name))
        if place.is_relative_to(inner):
            raise DataError(
                f"{folder} is inside {root / name}, which belongs to the data repository; give another folder"
            )
    if place == target:
        return
    if place.is_relative_to(target):
        raise DataError(
            f"{folder} is inside the data repository's own folder {tag.folder}, which the version would replace; "
            "move it elsewhere, then run the same command again"
        )
    if target.is_relative_to(place):
        raise DataError(
            f"{folder} contains {tag.folder} of the data repository, which the version would replace; "
            "give only the folder of the annotations"
        )


def require_own_folder(branch: Branch, base: str, tag: DatasetTag) -> None:
    """Reject a repository where the dataset's folder cannot be created.

    Raises:
        RepositoryError: The path is a link or a file, or is tracked by git itself or as part of another folder.
    """
    root = branch.root
    for place in (root / tag.room, root / tag.folder):
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            kind = "link" if place.is_symlink() else "file"
            raise RepositoryError(
                f"{place} is a {kind}; expected a folder. Move it elsewhere, then run the same command again"
            )
    if tag.dataset.casefold().endswith((".dvc", ".git")):
        raise RepositoryError(
            f"dataset {tag.dataset!r}: names with this ending are reserved for DVC and Git; choose another"
        )
    if branch.git("ls-tree", "-z", base, "--", f"{tag.room}.dvc"):
        raise RepositoryError(
            f"{root} has {tag.room}.dvc: DVC tracks the whole folder {tag.room}, so it cannot contain versions of a "
            "dataset; create a separate data repository: sightline data init PATH --remote URI"
        )
    if branch.git("ls-tree", "-z", base, "--", tag.folder):
        raise RepositoryError(
            f"{tag.folder} of {root} is tracked by git; remove it (git rm -r --cached {tag.folder}) and commit that, "
            "or choose another --dataset"
        )


@dataclass(frozen=True, slots=True)
class Known:
    """Checks which files of the folder are part of any version.

    Attributes:
        branch: The repository.
        tag: The tag of the dataset.
        wanted: The files of the version that is being added.
        cache: The repository's DVC cache.
        jobs: Number of threads that read files.
    """

    branch: Branch
    tag: DatasetTag
    wanted: Manifest
    cache: Cache
    jobs: int

    def require_saved(self, folder: Path) -> None:
        """Refuse to replace a folder that contains files that are not part of any version.

        Raises:
            RepositoryError: There are such files; the message lists them.
        """
        unsaved = self.unsaved(folder)
        if unsaved:
            names = first_names([f"{name} ({why})" for name, why in sorted(unsaved.items())], "file", limit=20)
            raise RepositoryError(
                f"{folder} contains files that are not part of any version ({names}); nothing was changed: add that "
                "folder as a separate version, or move these files elsewhere, then run the same command again"
            )

    def unsaved(self, folder: Path) -> dict[str, str]:
        """File -> why it is not part of any version: ``new`` or ``changed``."""
        names = [name for name in _entries(folder) if not _is_worthless(name, self.wanted)]
        found = dict(for_each_file(lambda name: _md5(folder / name), names, self.jobs, "compare files"))
        left = {name: md5 for name, md5 in found.items() if self.wanted.get(name) != md5}
        seen = set(self.wanted)
        for manifest in self._versions() if left else ():
            seen |= manifest.keys()
            left = {name: md5 for name, md5 in left.items() if manifest.get(name) != md5}
            if not left:
                break
        return {name: "changed" if name in seen else "new" for name in left}

    def is_version(self, text: str, md5: str) -> bool:
        """Whether a ``.dvc`` file refers to the version being added, or to an existing version of the dataset."""
        try:
            named = read_dvc_file(text, self.tag.dvc_file).md5
        except RepositoryError:
            return False
        return named == md5 or any(named == known for _, known in self._listed())

    def _listed(self) -> Iterator[tuple[str, str]]:
        """``HEAD`` and every version, latest first: its commit, and the MD5 of its list of files."""
        own = [
            tag for tag in dataset_tags(self._tags()) if tag.dataset == self.tag.dataset and tag.kind == self.tag.kind
        ]
        done = set()
        removed = [reference for reference in self._tags() if reference.startswith(f"removed/{self.tag.dataset}_")]
        for commit in ("HEAD", *(f"refs/tags/{tag}" for tag in (*reversed(own), *removed))):
            try:
                text = self.branch.git("show", f"{commit}:{self.tag.dvc_file}")
                md5 = read_dvc_file(text, self.tag.dvc_file).md5
            except RepositoryError:  # the commit has no such dataset, or a file of that name not made by Sightline
                continue
            if md5 not in done:
                done.add(md5)
                yield commit, md5

    def _tags(self) -> list[str]:
        listing = self.branch.git("for-each-ref", "--format=%(refname)", "refs/tags")
        return [line.removeprefix("refs/tags/") for line in listing.splitlines()]

    def _versions(self) -> Iterable[Manifest]:
        for commit, md5 in self._listed():
            what = f"the list of the files of {commit.removeprefix('refs/tags/')}"
            manifest = self.cache.manifest(md5, what)
            if manifest is None:
                try:
                    config = self.branch.git("show", f"{commit}:.dvc/config")
                    manifest = open_remote(config, self.tag.room, str(self.branch.root)).manifest(md5, what)
                except RepositoryError:  # the list is lost: its files count as not stored
                    continue
            yield manifest


def replace_folder(folder: Path, new: Path, aside: Path, known: Known) -> Path | None:
    """Replace ``folder`` by ``new``; if killed at any point, the same call completes the replacement.

    Args:
        folder: The folder to replace.
        new: Its replacement, in the same file system; if it does not exist, it was moved already.
        aside: Temporary path of the old folder.
        known: Decides which files may be deleted.

    Returns:
        Path of the old folder, if it was kept because of files added in the meantime; else None.
    """
    if new.is_dir():
        if folder.is_dir():
            if aside.exists():
                kept = _remove_or_keep(aside, known)
                if kept:
                    aside = aside.with_name(f"{aside.name}-{secrets.token_hex(4)}")
            os.rename(folder, aside)  # noqa: PTH104
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.rename(new, folder)  # noqa: PTH104
    return _remove_or_keep(aside, known)


def _remove_or_keep(aside: Path, known: Known) -> Path | None:
    if not aside.is_dir():
        return None
    if not known.unsaved(aside):
        shutil.rmtree(aside)
        return None
    kept = known.branch.root / ".dvc" / "tmp" / f"sightline-kept-{secrets.token_hex(4)}"
    os.rename(aside, kept)  # noqa: PTH104
    return kept


def _entries(folder: Path) -> Iterator[str]:
    """All entries below a folder except folders; links are entries, even to folders."""
    for path, folders, files in os.walk(folder):
        relative = Path(path).relative_to(folder)
        linked = [name for name in folders if os.path.islink(os.path.join(path, name))]  # noqa: PTH114, PTH118
        for name in (*files, *linked):
            yield (relative / name).as_posix()


def _is_worthless(name: str, wanted: Manifest) -> bool:
    """Whether a file is system litter, or a partial copy that an earlier release left when it was killed."""
    last = name.rpartition("/")[2].casefold()
    half = name.endswith(".part") and name.removesuffix(".part") in wanted
    return half or last in LITTER or last == ".ds_store" or last.startswith("._")


def _md5(path: Path) -> str:
    return file_md5(path) if path.is_file() else _NO_FILE
