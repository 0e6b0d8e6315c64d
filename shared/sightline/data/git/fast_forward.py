"""Moves the checked-out branch to a later commit without losing uncommitted changes.

``git merge --ff-only`` does the same, but if it is killed halfway, it takes the files it already wrote for changes of
the user and refuses to continue.  Here each step can be repeated: a file that has the later contents is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.git.branch import DETACHED, NO_COMMIT, Branch

_SUBMODULE = "160000"
_FEW = 500
"""Maximum number of paths per command line."""


@dataclass(frozen=True, slots=True)
class Change:
    """One file that differs between two commits.

    Attributes:
        before: Its object in the first commit; empty if it does not exist there.
        after: Its object in the second commit; empty if it does not exist there.
        mode: Git's mode of the file in the second commit.
    """

    before: str
    after: str
    mode: str


def changes(branch: Branch, before: str, after: str) -> dict[str, Change]:
    """The files that differ between two commits."""
    fields = branch.git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", before, after).split("\0")
    found = {}
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, old, new, _ = facts.lstrip(":").split(" ")
        found[path] = Change(old.replace(NO_COMMIT, ""), new.replace(NO_COMMIT, ""), mode)
    return found


def unchanged(branch: Branch, commit: str, paths: Iterable[str]) -> dict[str, Change]:
    """Files as they are in ``commit``, for :func:`obstacles`, when their later contents are not known yet."""
    found = {}
    for path in paths:
        entry = branch.git("ls-tree", "-z", commit, "--", path)
        mode, _, made = entry.partition("\t")[0].split(" ") if entry else ("", "", "")
        found[path] = Change(made, made, mode)
    return found


def obstacles(branch: Branch, moving: dict[str, Change], ours: Callable[[str], bool] = lambda _: False) -> list[str]:
    """The files whose uncommitted changes are in the way.

    Args:
        branch: The checked-out branch.
        moving: The files that would change.
        ours: Whether a file with other contents at this path can be overwritten without loss.
    """
    staged, present = _staged(branch, moving), _present(branch, moving)
    return [
        path
        for path, change in moving.items()
        if (
            staged.get(path, "") not in {change.before, change.after}
            or present.get(path, "") not in {change.before, change.after, ""}
        )
        and not ours(path)
    ]


def move(branch: Branch, before: str, after: str) -> bool:
    """Move the branch to ``after``; False if it no longer points to ``before``, so that nothing was moved."""
    if (now := branch.head()) == after:
        return True
    if now != before:
        return False
    where = ["--no-deref", "HEAD"] if branch.ref == DETACHED else [branch.ref]
    branch.git("update-ref", "-m", "sightline data", *where, after, before, variables=branch.variables)
    return True


def update_files(branch: Branch, moving: dict[str, Change], skipped: Iterable[str], folder: Path) -> None:
    """Update index and working tree to the second commit, for the files that differ.

    Args:
        branch: The checked-out branch, already at the second commit.
        moving: The files that differ.
        skipped: Files whose uncommitted changes are kept; they show as modified.
        folder: Folder for a temporary file.
    """
    left = set(skipped)
    written = [path for path, change in moving.items() if change.after and path not in left]
    if written:
        names = folder / "paths"
        names.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in written))
        branch.git("checkout", "--quiet", "HEAD", f"--pathspec-from-file={names}", "--pathspec-file-nul")
        names.unlink()
    for path, change in moving.items():
        if not change.after and path not in left:
            branch.git("rm", "--cached", "--quiet", "--ignore-unmatch", "--", path)
            (branch.root / path).unlink(missing_ok=True)


def stage(branch: Branch, path: str, change: Change) -> None:
    """Update a file in the index only, unless another change of it is staged."""
    if _staged(branch, [path]).get(path, "") == change.before:
        branch.git("update-index", "--add", "--cacheinfo", f"{change.mode},{change.after},{path}")


def _staged(branch: Branch, paths: Iterable[str]) -> dict[str, str]:
    """The objects of files in the index; a file in conflict gets an object that no commit has."""
    found: dict[str, str] = {}
    for part in _parts(list(paths)):
        for entry in branch.git("ls-files", "--stage", "-z", "--", *part).split("\0"):
            facts, _, path = entry.partition("\t")
            if path:
                _, made, stage = facts.split(" ")
                found[path] = made if stage == "0" else f"conflict {stage}"
    return found


def _present(branch: Branch, moving: dict[str, Change]) -> dict[str, str]:
    """The objects that the files of the working tree would have; a submodule counts as unchanged."""
    found, files = {}, []
    for path, change in moving.items():
        place = branch.root / path
        if change.mode == _SUBMODULE:
            continue
        if place.is_symlink():
            found[path] = _link_object(branch, place)
        elif place.is_file():
            files.append(path)
        elif place.exists():
            found[path] = "a folder"
    for part in _parts(files):
        found.update(zip(part, branch.git("hash-object", "--", *part).split(), strict=True))
    return found


def _link_object(branch: Branch, link: Path) -> str:
    """The object of a symbolic link, which contains its target path."""
    target = branch.root / ".dvc" / "tmp" / "link"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(os.fsencode(os.readlink(link)))  # noqa: PTH115
    try:
        return branch.git("hash-object", "--no-filters", "--", str(target)).strip()
    finally:
        target.unlink()


def _parts(paths: Sequence[str]) -> Iterable[Sequence[str]]:
    return (paths[start : start + _FEW] for start in range(0, len(paths), _FEW))
