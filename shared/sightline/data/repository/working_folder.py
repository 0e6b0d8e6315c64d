"""``annotations/<dataset>`` of a data repository: the files of a version, and perhaps work that no version has."""

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
    """Refuse a folder that the addition itself would read and write at once.

    Args:
        folder: What is added.
        root: The data repository.
        tag: The new version.

    Raises:
        DataError: The folder holds the repository, or lies in a part of it that is not the user's, or in the folder
            that the version would replace.  The folder of the version itself is fine: it stays as it is.
    """
    place, top = Path(os.path.realpath(folder)), Path(os.path.realpath(root))
    target = Path(os.path.realpath(root / tag.folder))
    if top.is_relative_to(place):
        raise DataError(f"{folder} holds the data repository {root}; give the folder of the annotations alone")
    for name in (".git", ".dvc"):
        inner = Path(os.path.realpath(root / name))
        if place.is_relative_to(inner):
            raise DataError(
                f"{folder} lies in {root / name}, which belongs to the data repository; give another folder"
            )
    if place == target:
        return
    if place.is_relative_to(target):
        raise DataError(
            f"{folder} lies inside the data repository's own folder {tag.folder}, which the version would replace; "
            "move it out of there, then run the same command again"
        )
    if target.is_relative_to(place):
        raise DataError(
            f"{folder} holds {tag.folder} of the data repository, which the version would replace; "
            "give the folder of the annotations alone"
        )


def require_own_folder(branch: Branch, base: str, tag: DatasetTag) -> None:
    """Refuse a repository where something else has the place of the dataset.

    Raises:
        RepositoryError: It is a link or a file, or is tracked by git itself or as part of another folder.
    """
    root = branch.root
    for place in (root / tag.room, root / tag.folder):
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            kind = "link" if place.is_symlink() else "file"
            raise RepositoryError(
                f"{place} is a {kind}; expected a folder. Move it away, then run the same command again"
            )
    if tag.dataset.casefold().endswith((".dvc", ".git")):
        raise RepositoryError(
            f"dataset {tag.dataset!r}: a name with this ending belongs to DVC and Git; choose another"
        )
    if branch.git("ls-tree", "-z", base, "--", f"{tag.room}.dvc"):
        raise RepositoryError(
            f"{root} has {tag.room}.dvc: DVC tracks the whole folder {tag.room} there, so that versions of a dataset "
            "cannot be kept in it; make a data repository of its own: sightline data init PATH --remote URI"
        )
    if branch.git("ls-tree", "-z", base, "--", tag.folder):
        raise RepositoryError(
            f"{root} has {tag.folder} in git itself; take it out (git rm -r --cached {tag.folder}) and commit that, or "
            "choose another --dataset"
        )


@dataclass(frozen=True, slots=True)
class Known:
    """Says which files of the folder some version has.

    Attributes:
        branch: The repository.
        tag: Names the dataset.
        wanted: The files of the version that is being added.
        cache: The repository's DVC cache.
        jobs: Threads that read files.
    """

    branch: Branch
    tag: DatasetTag
    wanted: Manifest
    cache: Cache
    jobs: int

    def require_saved(self, folder: Path) -> None:
        """Refuse to replace a folder that holds files which no version has.

        Raises:
            RepositoryError: With their names.
        """
        unsaved = self.unsaved(folder)
        if unsaved:
            names = first_names([f"{name} ({why})" for name, why in sorted(unsaved.items())], "file", limit=20)
            raise RepositoryError(
                f"{folder} holds work that no version has, in {names}; nothing was changed: add that folder as a "
                "version of its own, or move these files away, then run the same command again"
            )

    def unsaved(self, folder: Path) -> dict[str, str]:
        """File -> why no version has it: it is ``new`` or ``changed``."""
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
        """Whether a ``.dvc`` file names what is being added, or a version of the dataset."""
        try:
            named = read_dvc_file(text, self.tag.dvc_file).md5
        except RepositoryError:
            return False
        return named == md5 or any(named == known for _, known in self._listed())

    def _listed(self) -> Iterator[tuple[str, str]]:
        """What is checked out, and every version, the latest first: its commit, and the name of its list of files."""
        own = [
            tag for tag in dataset_tags(self._tags()) if tag.dataset == self.tag.dataset and tag.kind == self.tag.kind
        ]
        done = set()
        removed = [reference for reference in self._tags() if reference.startswith(f"removed/{self.tag.dataset}_")]
        for commit in ("HEAD", *(f"refs/tags/{tag}" for tag in (*reversed(own), *removed))):
            try:
                text = self.branch.git("show", f"{commit}:{self.tag.dvc_file}")
                md5 = read_dvc_file(text, self.tag.dvc_file).md5
            except RepositoryError:  # a commit without the dataset, or with a file of that name that is not Sightline's
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
                except RepositoryError:  # it is lost: what it held counts as held by none
                    continue
            yield manifest


def replace_folder(folder: Path, new: Path, aside: Path, known: Known) -> Path | None:
    """Put ``new`` into the place of ``folder``; killed anywhere, the same call completes it.

    Args:
        folder: The folder.
        new: What replaces it, in the same file system; where it is gone, it has been put there already.
        aside: Where the old folder lies meanwhile.
        known: Says what may be deleted.

    Returns:
        Where the old folder is kept, when somebody put work into it in this moment; else None.
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
    """Everything below a folder but folders; a link is an entry, wherever it leads."""
    for path, folders, files in os.walk(folder):
        relative = Path(path).relative_to(folder)
        linked = [name for name in folders if os.path.islink(os.path.join(path, name))]  # noqa: PTH114, PTH118
        for name in (*files, *linked):
            yield (relative / name).as_posix()


def _is_worthless(name: str, wanted: Manifest) -> bool:
    """What systems leave behind, and halves of copies that earlier releases left when they were killed."""
    last = name.rpartition("/")[2].casefold()
    half = name.endswith(".part") and name.removesuffix(".part") in wanted
    return half or last in LITTER or last == ".ds_store" or last.startswith("._")


def _md5(path: Path) -> str:
    return file_md5(path) if path.is_file() else _NO_FILE
