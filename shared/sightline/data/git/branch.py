"""The checked-out branch of a local data repository, and its remote.

A commit is created without the user's index and working tree, based on the state of the remote, and pushed together
with its tag; only then is the local branch moved.  So a failure leaves the repository unchanged, and uncommitted
changes are never committed or overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.data.git.commands import git
from sightline.data.git.references import TAGS, References, parse_references
from sightline.errors import RepositoryError
from sightline.plural import counted

NO_COMMIT = "0" * 40
"""Represents a reference that does not exist."""

DETACHED = "HEAD"


@dataclass(frozen=True, slots=True)
class Published:
    """The state of a branch on its remote.

    Attributes:
        tip: The branch's commit on the remote; empty if the branch does not exist yet, or if there is no remote.
        references: All tags.
    """

    tip: str = ""
    references: References = field(default_factory=lambda: References({}, {}, {}))

    @property
    def tags(self) -> Mapping[str, str]:
        """Every tag and its commit, except for removed versions."""
        return self.references.tags


@dataclass(frozen=True, slots=True)
class Branch:
    """The checked-out branch of a repository.

    Attributes:
        root: The repository's working tree.
        ref: ``refs/heads/main``; :data:`DETACHED` if no branch is checked out, so that only tags are pushed.
        remote: Name of its remote; empty if there is none.
        remote_ref: The branch's name on the remote.
        addresses: URLs of the remote, for reading and writing.
        variables: Environment variables that set an author if git's configuration has none.
        timeout_seconds: Limit for one git command.
    """

    root: Path
    ref: str
    remote: str
    remote_ref: str
    addresses: tuple[str, ...]
    variables: Mapping[str, str]
    timeout_seconds: float

    @property
    def name(self) -> str:
        """Short name, such as ``main``."""
        return self.ref.removeprefix("refs/heads/")

    def head(self) -> str:
        """The checked-out commit."""
        return self.git("rev-parse", "HEAD^{commit}").strip()

    def published(self) -> Published:
        """Query the remote.

        Raises:
            RepositoryError: The remote cannot be reached.
        """
        if not self.remote:
            return Published()
        listing = self._git_remote("ls-remote", self.remote, "refs/tags/*", self.remote_ref or "refs/tags/*")
        rows = (line.partition("\t") for line in listing.splitlines())
        entries = {ref: commit for commit, _, ref in rows if ref}
        return Published(entries.get(self.remote_ref, ""), parse_references(listing))

    def base(self, published: Published) -> str:
        """The parent of the next commit: the remote's commit, fetched, unless this branch is ahead of it.

        Raises:
            RepositoryError: The branch and the remote have diverged.
        """
        head = self.head()
        if not published.tip or published.tip == head:
            return head
        short = self.remote_ref.removeprefix("refs/heads/")
        self._git_remote(
            "fetch", "--quiet", "--no-tags", self.remote, f"+{self.remote_ref}:refs/remotes/{self.remote}/{short}"
        )
        tip = self.git("rev-parse", f"refs/remotes/{self.remote}/{short}^{{commit}}").strip()
        ahead, behind = map(int, self.git("rev-list", "--left-right", "--count", f"{head}...{tip}").split())
        if ahead and behind:
            raise RepositoryError(
                f"{self.name} in {self.root} and at {self.remote} have diverged ({counted(ahead, 'commit')} only "
                f"here, {behind} only there); nothing was changed: reconcile them (git pull --rebase), then run "
                "the same command"
            )
        return head if ahead else tip

    def fetch_tags(self, tags: Sequence[str]) -> None:
        """Fetch tags from the remote."""
        for start in range(0, len(tags), 500):
            references = [f"refs/tags/{tag}:refs/tags/{tag}" for tag in tags[start : start + 500]]
            self._git_remote("fetch", "--quiet", "--no-tags", self.remote, *references)

    def commit(
        self, base: str, contents: Mapping[str, bytes | None], message: str, folder: Path, *, always: bool = False
    ) -> str:
        """Create a commit on top of ``base`` without a reference to it.

        Args:
            base: Parent commit; empty for the first commit of a repository.
            contents: Path -> contents of the file; None removes it.
            message: Commit message.
            folder: Folder for temporary files.
            always: Create a commit even if nothing changes.

        Returns:
            The commit; ``base`` itself if nothing changes.
        """
        index, blob = {"GIT_INDEX_FILE": str(folder / "index")}, folder / "blob"
        self.git(*(["read-tree", base] if base else ["read-tree", "--empty"]), variables=index)
        before = self.git("write-tree", variables=index)
        for path, data in contents.items():
            if data is None:
                self.git("update-index", "--force-remove", "--", path, variables=index)
                continue
            blob.write_bytes(data)
            made = self.git("hash-object", "-w", "--no-filters", "--", str(blob)).strip()
            self.git("update-index", "--add", "--cacheinfo", f"100644,{made},{path}", variables=index)
        tree = self.git("write-tree", variables=index)
        if base and tree == before and not always:
            return base
        parent = ["-p", base] if base else []
        return self.git("commit-tree", *parent, "-m", message, tree.strip(), variables=self.variables).strip()

    def read(self, commit: str, path: str, folder: Path) -> bytes | None:
        """The contents of a file in ``commit``; None if it does not exist.

        Args:
            commit: The commit.
            path: Relative to the root.
            folder: Folder for temporary files.
        """
        found = self.git("ls-tree", "-z", commit, "--", path)
        if not found.startswith("100"):
            return None
        index = {"GIT_INDEX_FILE": str(folder / "read.index")}
        self.git("read-tree", commit, variables=index)
        self.git("checkout-index", "--quiet", "--force", f"--prefix={folder / 'read'}/", "--", path, variables=index)
        return (folder / "read" / path).read_bytes()

    def push(self, commit: str, tag: str, replaced: str = "") -> None:
        """Push a commit as the next one of the branch, together with a tag for it, atomically.

        Args:
            commit: The commit; if no branch is checked out, only the tag is pushed.
            tag: The tag's name.
            replaced: The object of a removed version that the tag may refer to on the remote.

        Raises:
            RepositoryError: The remote rejected the push, for example because another user pushed first.
        """
        branch = [] if self.ref == DETACHED else [f"{commit}:{self.remote_ref}"]
        lease = [f"--force-with-lease={TAGS}{tag}:{replaced}"] if replaced else []
        self.push_references([*branch, f"{commit}:{TAGS}{tag}"], lease)

    def push_references(self, references: Sequence[str], options: Sequence[str] = ()) -> None:
        """Push ``OBJECT:refs/...`` atomically; see :meth:`push`."""
        self._git_remote("push", "--quiet", "--no-verify", "--atomic", *options, self.remote, *references)

    def git(self, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
        """Run git in the repository; see :func:`sightline.data.git.commands.git`."""
        literal = {"GIT_LITERAL_PATHSPECS": "1", **(variables or {})}
        return git(*arguments, cwd=self.root, timeout_seconds=self.timeout_seconds, variables=literal)

    def _git_remote(self, *arguments: str) -> str:
        return git(*arguments, cwd=self.root, timeout_seconds=self.timeout_seconds, trusted=self.addresses)


def open_branch(root: Path, timeout_seconds: float) -> Branch:
    """The checked-out branch at ``root``.

    Raises:
        RepositoryError: ``root`` is not the root of a git working tree, or the repository has no commit.
    """

    def ask(*arguments: str) -> str:
        return git(*arguments, cwd=root, timeout_seconds=timeout_seconds)

    top = ask("rev-parse", "--show-toplevel").rstrip("\n")
    if os.path.realpath(top) != os.path.realpath(root):
        raise RepositoryError(f"{root} is inside the git repository {top}; use that folder instead")
    entries = [entry.partition("\n") for entry in ask("config", "--list", "-z").split("\0") if entry]
    settings = {key: value for key, _, value in entries}
    try:
        ref = ask("rev-parse", "--symbolic-full-name", "HEAD").strip()
        ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except RepositoryError as error:
        raise RepositoryError(f"{root} has no commit yet; commit something, then run the same command again") from error
    name = ref.removeprefix("refs/heads/")
    remotes = {
        key[len("remote.") : -len(".url")] for key in settings if key.startswith("remote.") and key.endswith(".url")
    }
    remote = settings.get(f"branch.{name}.remote", "")
    upstream = settings.get(f"branch.{name}.merge", "") if remote in remotes else ""
    if remote not in remotes:
        remote = "origin" if "origin" in remotes else ""
    addresses: tuple[str, ...] = ()
    if remote:
        addresses = tuple(ask("remote", "get-url", *side, remote).strip() for side in ([], ["--push"]))
    return Branch(
        root, ref, remote, "" if ref == DETACHED else upstream or ref, addresses, author(settings), timeout_seconds
    )  # fmt: skip


def author(settings: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that set the author ``sightline`` if git's configuration has no author."""
    variables = {}
    for field_, fallback in (("name", "sightline"), ("email", "sightline@localhost")):
        if f"user.{field_}" not in settings:
            for role in ("AUTHOR", "COMMITTER"):
                variable = f"GIT_{role}_{field_.upper()}"
                if f"{role.lower()}.{field_}" not in settings and variable not in os.environ:
                    variables[variable] = fallback
    return variables
