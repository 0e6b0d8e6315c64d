"""The staging area of a new version: a separate DVC workspace inside the data repository, ignored by other tools.

The files are copied there, added to DVC and pushed.  The effects of DVC's configuration and ``.dvcignore`` show up
there; the user's folders are not touched before the version is published.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sightline.data.dvc.cache import Cache
from sightline.data.dvc.configuration import local_configuration, local_settings, read_remotes
from sightline.data.dvc.manifest import Manifest
from sightline.data.dvc.objects import BLOCK_BYTES, TrackedFolder, for_each_file
from sightline.data.dvc.publish import publish_folder
from sightline.data.folder_files import FolderFiles, list_files
from sightline.data.git.branch import Branch
from sightline.data.tags import DatasetTag
from sightline.errors import DataError, RepositoryError

IGNORE_FILE = ".dvcignore"


@dataclass(frozen=True, slots=True)
class Staging:
    """The staging folder of one addition.

    Attributes:
        branch: The data repository.
        tag: The version.
        folder: The staging folder; removed when the addition ends.
        cache: The repository's DVC cache.
    """

    branch: Branch
    tag: DatasetTag
    folder: Path
    cache: Cache

    @property
    def tree(self) -> Path:
        """The root of the workspace."""
        return self.folder / "tree"

    @property
    def files(self) -> Path:
        """The folder of the version in the workspace."""
        return self.tree / self.tag.folder

    def prepare(self, base: str) -> None:
        """Create the workspace, with the DVC configuration of ``base`` and this machine's local settings.

        Raises:
            RepositoryError: ``base`` does not contain the remote.
        """
        shutil.rmtree(self.tree, ignore_errors=True)
        self.files.mkdir(parents=True)
        (self.tree / ".dvc").mkdir()
        (self.tree / ".dvc" / "config").write_bytes(self._config(base))
        _, settings = local_settings(self.branch.root / ".dvc")
        settings["core"] = {**settings.get("core", {}), "no_scm": "true", "analytics": "false", "check_update": "false"}
        settings["cache"] = {**settings.get("cache", {}), "dir": str(self.cache.root), "type": "reflink,copy"}
        (self.tree / ".dvc" / "config.local").write_bytes(local_configuration(settings))
        for folder in ("", f"{self.tag.room}/"):
            self._copy_ignore_rules(base, folder + IGNORE_FILE)

    def copy(self, found: FolderFiles, wanted: Manifest, jobs: int) -> None:
        """Copy the files, and compare their hashes with those computed before.

        Raises:
            DataError: A file was changed in the meantime.
        """
        for parent in {(self.files / name).parent for name in wanted}:
            parent.mkdir(parents=True, exist_ok=True)

        def copy(name: str) -> bool:
            try:
                return _copy(found.root / name, self.files / name) == wanted[name]
            except FileNotFoundError:
                return False

        copied = for_each_file(copy, list(wanted), jobs, f"copy {found.root.name}")
        changed = [name for name, right in copied if not right]
        if changed or list_files(found.root).files != found.files:
            first = f" ({changed[0]})" if changed else ""
            raise DataError(
                f"{found.root} was changed while it was being added{first}; nothing was stored: "
                "run the same command again when no other program writes to it"
            )

    def publish(self, jobs: int) -> TrackedFolder:
        """Add the files to DVC and push them; see :func:`~sightline.data.dvc.publish.publish_folder`."""
        return publish_folder(self.tree, self.tag, jobs=jobs, timeout_seconds=self.branch.timeout_seconds)

    def commit(self, base: str, message: str, *, always: bool) -> str:
        """Create the commit of the version on top of ``base``, without a reference; see :meth:`.Branch.commit`."""
        if self._config(base) != (self.tree / ".dvc" / "config").read_bytes():
            raise RepositoryError(
                "the DVC remotes of the data repository changed while this command ran; run the same command again"
            )
        ignored = f"{self.tag.room}/.gitignore"
        contents: dict[str, bytes | None] = {
            self.tag.dvc_file: (self.tree / self.tag.dvc_file).read_bytes(),
            ignored: with_line(self.branch.read(base, ignored, self.folder) or b"", f"/{self.tag.dataset}"),
        }
        return self.branch.commit(base, contents, message, self.folder, always=always)

    def _config(self, base: str) -> bytes:
        config = self.branch.read(base, ".dvc/config", self.folder)
        own = self.branch.root / ".dvc" / "config"
        if config is None or self.tag.room not in read_remotes(config.decode("utf-8", "replace"), str(own)):
            committed = "" if config is None or not own.is_file() else own.read_text(encoding="utf-8", errors="replace")
            if self.tag.room in read_remotes(committed, str(own)):
                raise RepositoryError(
                    f"{own} contains the remote {self.tag.room!r}, but this change is not committed; commit it "
                    "(git commit .dvc/config), then run the same command again"
                )
            raise RepositoryError(
                f"{self.branch.root} is not a data repository of Sightline: its .dvc/config has no remote "
                f"{self.tag.room!r}; add it: sightline data init {shlex.quote(str(self.branch.root))} --remote URI"
            )
        return config

    def _copy_ignore_rules(self, base: str, name: str) -> None:
        """Copy ignore rules even if they are not committed: a later ``dvc add`` would apply them."""
        committed = self.branch.read(base, name, self.folder) or b""
        own = self.branch.root / name
        present = own.read_bytes() if own.is_file() else b""
        rules = committed if committed == present else committed.rstrip(b"\n") + b"\n" + present
        if rules.strip():
            (self.tree / name).write_bytes(rules)


@contextmanager
def staging(branch: Branch, tag: DatasetTag, name: str) -> Iterator[Staging]:
    """Create the folder for one addition; it is removed at the end.

    Args:
        branch: The data repository.
        tag: The version.
        name: Name of the folder.
    """
    folder = staging_root(branch.root) / name
    folder.mkdir(parents=True)
    try:
        root, _ = local_settings(branch.root / ".dvc")
        yield Staging(branch, tag, folder, Cache(root))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def staging_root(root: Path) -> Path:
    """The folder of all additions: ignored by git, and in the file system of the working tree."""
    return root / ".dvc" / "tmp" / "sightline"


def with_line(text: bytes, line: str) -> bytes:
    """Append a line to ``text`` unless it contains this line."""
    if line.encode() in text.splitlines():
        return text
    return text + (b"\n" if text and not text.endswith(b"\n") else b"") + line.encode() + b"\n"


def _copy(source: Path, target: Path) -> str:
    """Copy a file, and return the MD5 of the copied bytes."""
    digest = hashlib.md5(usedforsecurity=False)
    with source.open("rb") as file, target.open("wb") as copy:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            copy.write(block)
    return digest.hexdigest()
