"""The last step of an addition: what is published already is brought to the branch and the folder that are checked out.

It begins with a note of what is to be done, so that the next command that works on the repository completes what a
killed one began.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from sightline.data.folder_files import first_names
from sightline.data.git.branch import NO_COMMIT, Branch
from sightline.data.git.fast_forward import changes, move, obstacles, stage, unchanged, update_files
from sightline.data.repository.staging import staging_root, with_line
from sightline.data.repository.working_folder import Known, replace_folder
from sightline.data.tags import DatasetTag
from sightline.documents import DocumentError, DocumentKind
from sightline.errors import RepositoryError
from sightline.files import write_atomically

NOTE = "unfinished.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finish:
    """What is to be done.

    Attributes:
        tag: The new tag.
        before: The commit that was checked out.
        commit: The commit that the tag names.
        tip: The commit that the branch gets.
        ref: The branch.
        staged: Folder in the staging area that becomes ``annotations/<dataset>``; empty where that stays as it is.
    """

    tag: str
    before: str
    commit: str
    tip: str
    ref: str
    staged: str

    def write(self, root: Path) -> None:
        """Write the note."""
        write_atomically(staging_root(root) / NOTE, json.dumps(FINISH.encode(self)))


FINISH = DocumentKind("note of an unfinished addition", Finish)


def read_note(root: Path) -> Finish | None:
    """The note of a killed command; None where there is none."""
    try:
        return FINISH.decode((staging_root(root) / NOTE).read_bytes())
    except FileNotFoundError:
        return None
    except DocumentError as error:
        raise RepositoryError(
            f"{staging_root(root) / NOTE} cannot be read: {error}; {error.remedy('remove it')}"
        ) from error


def remove_note(root: Path) -> None:
    """Say that nothing is left to be done."""
    (staging_root(root) / NOTE).unlink(missing_ok=True)


def finish(branch: Branch, task: Finish, known: Known) -> None:
    """Bring tag, branch, working tree and folder to the published version; done twice, it changes nothing.

    Uncommitted changes of the user's are left as they are, and named.
    """
    root, tag = branch.root, DatasetTag.parse(task.tag)
    set_tag(branch, task.tag, task.commit)
    if branch.ref == task.ref and move(branch, task.before, task.tip):
        _update(branch, task, tag, known)
        if task.staged:
            _replace(branch, tag, staging_root(root) / task.staged, known)
    else:
        _log.warning("%s is published; what is checked out in %s has changed meanwhile and stays as it is", tag, root)
    remove_note(root)


def set_tag(branch: Branch, tag: str, commit: str) -> None:
    """Make a tag here, unless it is here.

    Raises:
        RepositoryError: It is here, and names another commit.
    """
    found = branch.git("for-each-ref", "--format=%(objectname) %(*objectname)", f"refs/tags/{tag}").split()
    if not found:
        branch.git("update-ref", f"refs/tags/{tag}", commit, NO_COMMIT)
    elif commit not in found:
        raise RepositoryError(
            f"{tag} in {branch.root} names {found[-1]}, but {commit} at {branch.remote or 'its remote'}; "
            f"remove the wrong one here (git tag -d {tag}), then run the same command again"
        )


def blocked(branch: Branch, base: str, tag: DatasetTag, known: Known, md5: str) -> list[str]:
    """The files whose uncommitted changes would be in the way of moving the branch to ``base`` and the version.

    Args:
        branch: What is checked out.
        base: What the version's commit goes on top of.
        tag: The version.
        known: Says which ``.dvc`` files name a version.
        md5: Of the version's list of files.
    """
    head = branch.head()
    moving = unchanged(branch, head, [tag.dvc_file]) | changes(branch, head, base)
    return obstacles(branch, moving, lambda path: _is_ours(branch, path, tag, known, md5))


def _update(branch: Branch, task: Finish, tag: DatasetTag, known: Known) -> None:
    moving = changes(branch, task.before, task.tip)
    kept = obstacles(branch, moving, lambda path: path == tag.dvc_file and _is_ours(branch, path, tag, known, ""))
    update_files(branch, moving, kept, staging_root(branch.root))
    for path in kept:
        if path == _gitignore(tag):
            file = branch.root / path
            file.write_bytes(with_line(file.read_bytes() if file.is_file() else b"", f"/{tag.dataset}"))
            stage(branch, path, moving[path])
        else:
            _log.warning("%s has uncommitted changes, which were kept: see git diff HEAD", branch.root / path)


def _replace(branch: Branch, tag: DatasetTag, staged: Path, known: Known) -> None:
    folder = branch.root / tag.folder
    if staged.is_dir() and folder.is_dir() and (unsaved := known.unsaved(folder)):
        _log.warning(
            "%s was not brought to %s: it holds work that no version has, in %s",
            folder,
            tag,
            first_names([*unsaved], "file"),
        )
        return
    kept = replace_folder(folder, staged, staging_root(branch.root) / "replaced", known)
    if kept is not None:
        _log.warning("files of %s changed while this command ran; the folder as it was is kept in %s", folder, kept)


def _is_ours(branch: Branch, path: str, tag: DatasetTag, known: Known, md5: str) -> bool:
    """Whether nothing is lost with what a file holds: a version's name, or a list that gets one line more."""
    if path == _gitignore(tag):
        return True
    file = branch.root / path
    return (
        path == tag.dvc_file
        and not file.is_symlink()
        and file.is_file()
        and known.is_version(file.read_text(encoding="utf-8", errors="replace"), md5)
    )


def _gitignore(tag: DatasetTag) -> str:
    return f"{tag.room}/.gitignore"
