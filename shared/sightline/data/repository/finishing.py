"""The last step of an addition: updates the checked-out branch and folder to the published version.

A note of the pending work is written first, so that the next command in the repository can complete the work of a
killed one.
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
    """The pending work.

    Attributes:
        tag: The new tag.
        before: The commit that was checked out before.
        commit: The commit of the tag.
        tip: The new commit of the branch.
        ref: The branch.
        staged: Folder in the staging area that becomes ``annotations/<dataset>``; empty if that folder does not change.
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
    """Read the note of a killed command; None if there is none."""
    try:
        return FINISH.decode((staging_root(root) / NOTE).read_bytes())
    except FileNotFoundError:
        return None
    except DocumentError as error:
        raise RepositoryError(
            f"{staging_root(root) / NOTE} cannot be read: {error}; {error.remedy('remove it')}"
        ) from error


def remove_note(root: Path) -> None:
    """Delete the note: no work is pending."""
    (staging_root(root) / NOTE).unlink(missing_ok=True)


def finish(branch: Branch, task: Finish, known: Known) -> None:
    """Update tag, branch, working tree and folder to the published version; repeating it is harmless.

    Uncommitted changes are kept and reported.
    """
    root, tag = branch.root, DatasetTag.parse(task.tag)
    set_tag(branch, task.tag, task.commit)
    if branch.ref == task.ref and move(branch, task.before, task.tip):
        _update(branch, task, tag, known)
        if task.staged:
            _replace(branch, tag, staging_root(root) / task.staged, known)
    else:
        _log.warning("%s is published, but the checkout in %s was not updated: its branch was changed", tag, root)
    remove_note(root)


def set_tag(branch: Branch, tag: str, commit: str) -> None:
    """Create a local tag unless it exists.

    Raises:
        RepositoryError: The tag exists and points to another commit.
    """
    found = branch.git("for-each-ref", "--format=%(objectname) %(*objectname)", f"refs/tags/{tag}").split()
    if not found:
        branch.git("update-ref", f"refs/tags/{tag}", commit, NO_COMMIT)
    elif commit not in found:
        raise RepositoryError(
            f"{tag} points to {found[-1]} in {branch.root}, but to {commit} at {branch.remote or 'its remote'}; "
            f"remove the wrong local tag (git tag -d {tag}), then run the same command again"
        )


def blocked(branch: Branch, base: str, tag: DatasetTag, known: Known, md5: str) -> list[str]:
    """Files with uncommitted changes that would be overwritten by moving the branch to ``base`` and then the version.

    Args:
        branch: The checked-out branch.
        base: The parent of the version's commit.
        tag: The version.
        known: Recognizes ``.dvc`` files of existing versions.
        md5: MD5 of the version's list of files.
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
            "%s was not updated to %s: it contains files that are not part of any version (%s)",
            folder,
            tag,
            first_names([*unsaved], "file"),
        )
        return
    kept = replace_folder(folder, staged, staging_root(branch.root) / "replaced", known)
    if kept is not None:
        _log.warning("files in %s changed while this command ran; the previous folder was kept as %s", folder, kept)


def _is_ours(branch: Branch, path: str, tag: DatasetTag, known: Known, md5: str) -> bool:
    """Whether a file can be overwritten safely: it refers to a version, or is a list to which one line is added."""
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
