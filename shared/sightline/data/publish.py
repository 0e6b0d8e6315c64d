"""Putting a folder under DVC and onto its remote, so that a tag never names objects that are not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

from sightline import strict_yaml
from sightline.data.commands import dvc, site_cache
from sightline.data.objects import ObjectStore, TrackedFolder, open_remote, read_dvc_file
from sightline.data.tags import DatasetTag
from sightline.errors import RepositoryError


def publish_folder(workspace: Path, tag: DatasetTag, *, jobs: int, timeout_seconds: float) -> TrackedFolder:
    """``dvc add`` and ``dvc push`` the tag's folder, then check that the remote has every object.

    Args:
        workspace: A clone of the data repository that holds the folder.
        tag: Says which folder, and which remote.
        jobs: Parallel transfers.
        timeout_seconds: Limit for one DVC command.

    Returns:
        What the ``.dvc`` file says now; committing and tagging it is the caller's.

    Raises:
        RepositoryError: DVC failed, or the remote lacks objects after the push.
    """
    dvc("add", "--quiet", tag.folder, cwd=workspace, timeout_seconds=timeout_seconds)
    _name_remote(workspace / tag.dvc_file, tag.room)
    tracked = read_dvc_file((workspace / tag.dvc_file).read_text(encoding="utf-8"), tag.dvc_file)
    remote = open_remote((workspace / ".dvc" / "config").read_text(encoding="utf-8"), tag.room, str(workspace))
    push = ["push", "--quiet", "--jobs", str(jobs), "--remote", tag.room, tag.dvc_file]
    dvc(*push, cwd=workspace, timeout_seconds=timeout_seconds)
    if missing_objects(remote, tracked, tag):
        # DVC believes its own list of what the remote holds, and says "up to date" when objects were lost there.
        shutil.rmtree(site_cache(workspace), ignore_errors=True)
        remote.path_of(tracked.md5).unlink(missing_ok=True)
        dvc(*push, cwd=workspace, timeout_seconds=timeout_seconds)
    missing = missing_objects(remote, tracked, tag)
    if missing:
        raise RepositoryError(
            f"after dvc push the remote {tag.room} ({remote.root}) still lacks {len(missing)} of the objects of "
            f"{tag.folder}: {', '.join(missing[:10])}; check the remote's permissions and run the same command again"
        )
    return tracked


def missing_objects(remote: ObjectStore, tracked: TrackedFolder, tag: DatasetTag) -> list[str]:
    """The files of a folder whose objects the remote lacks; the manifest itself comes first."""
    if not remote.path_of(tracked.md5).is_file():
        return [f"{tag.folder} (list of files)"]
    return remote.missing(remote.manifest(tracked.md5, tag.folder))


def _name_remote(path: Path, remote: str) -> None:
    """Write the remote into the ``.dvc`` file, so that a person's plain ``dvc pull`` finds both kinds of data."""
    document = strict_yaml.decode(path.read_text(encoding="utf-8"))
    if document["outs"][0].get("remote") == remote:
        return
    document["outs"][0]["remote"] = remote
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    os.replace(temporary, path)  # noqa: PTH105  (Path.replace reads like a change of the text)
