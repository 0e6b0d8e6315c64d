"""Adds a folder to DVC and pushes it, so that a tag never refers to missing objects."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from sightline import strict_yaml
from sightline.data.dvc.configuration import address_fault, require_path
from sightline.data.dvc.objects import DamagedObjectError, TrackedFolder, read_dvc_file
from sightline.data.dvc.remote import Remote, open_remote
from sightline.data.folder_files import first_names
from sightline.data.git.commands import dvc, site_cache
from sightline.data.tags import DatasetTag
from sightline.errors import RepositoryError
from sightline.files import write_atomically

SHOWN_FILES = 10


def publish_folder(workspace: Path, tag: DatasetTag, *, jobs: int, timeout_seconds: float) -> TrackedFolder:
    """``dvc add`` and ``dvc push`` the tag's folder, then check that the remote has every object.

    Args:
        workspace: A clone of the data repository that contains the folder.
        tag: Determines the folder and the remote.
        jobs: Number of parallel transfers.
        timeout_seconds: Limit for one DVC command.

    Returns:
        The contents of the ``.dvc`` file; the caller commits and tags it.

    Raises:
        RepositoryError: DVC failed or left files out, or the remote lacks objects after the push.
    """
    require_not_ignored(workspace, tag)
    require_path(workspace, "the folder")
    remote = open_remote((workspace / ".dvc" / "config").read_text(encoding="utf-8"), tag.room, str(workspace))
    if fault := address_fault(remote.url):
        raise RepositoryError(
            f"the DVC remote {tag.room!r} ({remote.url}) cannot be used: {fault}; move its files and set another "
            f"address: dvc remote modify {tag.room} url URL"
        )
    dvc("add", tag.folder, cwd=workspace, timeout_seconds=timeout_seconds)
    _name_remote(workspace / tag.dvc_file, tag.room)
    tracked = read_dvc_file((workspace / tag.dvc_file).read_text(encoding="utf-8"), tag.dvc_file)
    _require_complete(workspace / tag.folder, tracked, tag)
    push = ["push", "--jobs", str(jobs), "--remote", tag.room, tag.dvc_file]
    if list_fault(remote, tracked, tag) == "damaged":
        remote.forget(tracked.md5)  # DVC would fail on it
    dvc(*push, cwd=workspace, timeout_seconds=timeout_seconds)
    faults = _faults(remote, tracked, tag, workspace)
    if faults:
        # DVC trusts its own index of the remote, and assumes that the objects of an existing list of files exist.
        shutil.rmtree(site_cache(workspace), ignore_errors=True)
        for md5 in (*(md5 for md5, fault in faults.values() if fault == "damaged"), tracked.md5):
            remote.forget(md5)
        dvc(*push, cwd=workspace, timeout_seconds=timeout_seconds)
        faults = _faults(remote, tracked, tag, workspace)
    if faults:
        shown = ", ".join(f"{name} ({fault})" for name, (_, fault) in sorted(faults.items())[:SHOWN_FILES])
        raise RepositoryError(
            f"after dvc push the remote {tag.room} ({remote.url}) still lacks {len(faults)} of the objects of "
            f"{tag.folder}: {shown}; check the remote's permissions and run the same command again"
        )
    return tracked


def require_not_ignored(workspace: Path, tag: DatasetTag) -> None:
    """Refuse a folder if the repository's ``.dvcignore`` excludes any of its files.

    Raises:
        RepositoryError: It excludes some; the message lists the patterns and files.
    """
    if not any(_has_rules(workspace / folder / ".dvcignore") for folder in ("", tag.room)):
        return
    from dvc.fs import localfs
    from dvc.ignore import DvcIgnoreFilter

    rules = DvcIgnoreFilter(localfs, str(workspace.absolute()))
    folder = workspace.absolute() / tag.folder
    ignored: dict[str, list[str]] = {}
    for name in _names(folder):
        answer = rules.check_ignore(str(folder / name))
        if answer.match:
            pattern = answer.pattern_infos[-1]
            file = pattern.file_info.rpartition(f":{pattern.patterns}")[0].rpartition(":")[0] or ".dvcignore"
            ignored.setdefault(f"{pattern.patterns!r} in {file}", []).append(name)
    if ignored:
        lines = [f"  {pattern}: {first_names(names, 'file', SHOWN_FILES)}" for pattern, names in ignored.items()]
        message = (
            f"the .dvcignore of the data repository excludes files of {tag}; nothing was published: remove the pattern "
            "from it and commit, or remove the files from the folder"
        )
        raise RepositoryError("\n".join([message, *lines]))


def _has_rules(path: Path) -> bool:
    if not path.is_file():
        return False
    lines = (line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return any(line and not line.startswith("#") for line in lines)


def _names(folder: Path) -> Iterator[str]:
    for path, _, files in os.walk(folder):
        relative = Path(path).relative_to(folder)
        yield from ((relative / name).as_posix() for name in sorted(files))


def _require_complete(folder: Path, tracked: TrackedFolder, tag: DatasetTag) -> None:
    """Compare DVC's list of files with the folder: a file that DVC left out would be lost."""
    present = {name: folder / name for name in _names(folder)}
    if tracked.files == len(present) and tracked.size_bytes == sum(path.stat().st_size for path in present.values()):
        return
    raise RepositoryError(
        f"DVC added {tracked.files} files with {tracked.size_bytes:,} bytes to {tag}, but the folder has "
        f"{len(present)}; nothing was published: check the rules in .dvcignore, then run the same command again"
    )


def _faults(remote: Remote, tracked: TrackedFolder, tag: DatasetTag, workspace: Path) -> dict[str, tuple[str, str]]:
    """File -> (object, its fault on the remote); if the list of files is missing or damaged, only its own entry."""
    fault = list_fault(remote, tracked, tag)
    if fault:
        return {"the list of files": (tracked.md5, fault)}
    manifest = remote.manifest(tracked.md5, tag.folder)
    folder = workspace / tag.folder
    faults = remote.faults({md5: folder / name for name, md5 in manifest.items()})
    return {name: (md5, faults[md5]) for name, md5 in manifest.items() if md5 in faults}


def list_fault(remote: Remote, tracked: TrackedFolder, tag: DatasetTag) -> str:
    """The fault of the list of files on the remote; empty if there is none."""
    if remote.missing([tracked.md5]):
        return "missing"
    try:
        remote.read(tracked.md5, f"the list of the files of {tag.folder}")
    except DamagedObjectError:
        return "damaged"
    return ""


def _name_remote(path: Path, remote: str) -> None:
    """Write the remote to the ``.dvc`` file, so that a plain ``dvc pull`` by a user finds both kinds of data."""
    document = strict_yaml.decode(path.read_text(encoding="utf-8"))
    if document["outs"][0].get("remote") == remote:
        return
    document["outs"][0]["remote"] = remote
    write_atomically(path, yaml.safe_dump(document, sort_keys=False))
