"""Running git and DVC: without prompts, with a time limit, and without losing their output."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

from sightline import url_secrets
from sightline.data.git.settings import TOKEN_VARIABLE, git_configuration
from sightline.errors import RepositoryError, SightlineError
from sightline.temporary_folder import temporary_folder

SHOWN_LINES = 20
DVC = (sys.executable, "-m", "dvc")
DVC_FAREWELL = "Having any troubles?"
FULL_BYTES = 1 << 20
"""A disk with less room is full for git and DVC."""

EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"
"""Environment variable of Google's libraries, and of gcsfs, for another server in the place of Google Storage."""

_GIT_PLACES = {
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE",
    "GIT_PREFIX", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
}  # fmt: skip
"""Environment variables by which git would work on another repository than it is told; a git hook sets them."""

_log = logging.getLogger(__name__)
_NOT_THERE = (
    "the data repository does not exist; check data.repository, or create one: sightline data init PATH --remote URI"
)
_CAUSES = (
    (r"no space left on device|disk quota exceeded",
     "the disk is full; free some space and run the same command again"),
    (r"host key verification failed",
     "the server's host key is not known here; verify it and add it to known_hosts (ssh-keyscan HOST), or use a file "
     "that contains it: GIT_SSH_COMMAND='ssh -o UserKnownHostsFile=FILE'"),
    (r"certificate (problem|verif)",
     "the server's certificate is not trusted; set GIT_SSL_CAINFO to a file with its CA certificate"),
    (r"could not resolve (host|proxy)|failed to connect|couldn't connect|connection (refused|reset|timed out|closed)"
     r"|network is unreachable|no route to host|operation too slow|timed out|unexpected disconnect|early eof"
     r"|returned error: (429|5\d\d)|empty reply from server",
     "the server cannot be reached; check data.repository and the network, then run the same command again"),
    (r"not valid: is this a git repository|unable to update url base from redirection",
     "the server answered with a web page, not as a git server: it may require a login, or be another kind of server; "
     f"check data.repository and the token in {TOKEN_VARIABLE}"),
    (r"does not appear to be a git repository|repository .* (not found|does not exist)|not a git repository"
     r"|no such file or directory: .*\.git",
     _NOT_THERE),
    (r"permission denied|authentication failed|could not read (username|password)|access denied|read-only file system"
     r"|returned error: 40[13]",
     f"access is denied; check the credentials (https: the token in {TOKEN_VARIABLE}; ssh: the key) and the owner of "
     "the folder"),
    (r"unable to acquire lock|unable to create .*\.lock",
     "another git or DVC process is working there; try again later"),
)  # fmt: skip


def redact(text: str) -> str:
    """``text`` without user names and passwords in URLs, and without the token for git."""
    token = os.environ.get(TOKEN_VARIABLE)
    return url_secrets.redact(text.replace(token, "***") if token else text)


def git(
    *arguments: str,
    cwd: Path | None = None,
    timeout_seconds: float,
    trusted: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run git and return what it printed.

    Args:
        arguments: Without ``git`` itself.
        cwd: Where; the present folder by default.
        timeout_seconds: Limit.
        trusted: Repositories that may belong to another user, as they do on a shared volume.
        variables: More environment variables, such as the author's name.

    Raises:
        RepositoryError: Git failed; the message has the cause where it is known, and git's last lines.
    """
    with temporary_folder("git") as folder:
        configuration = Path(folder) / "gitconfig"
        configuration.write_text(git_configuration([*trusted, str(cwd or Path.cwd())]), encoding="utf-8")
        environment = {
            **{name: value for name, value in os.environ.items() if name not in _GIT_PLACES},
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "SSH_ASKPASS_REQUIRE": "never",
            "GIT_CONFIG_GLOBAL": str(configuration),
            **(variables or {}),
        }
        command = ["git", *arguments]
        return _run(command, cwd, environment, timeout_seconds, shown=" ".join(command))


def dvc(*arguments: str, cwd: Path, timeout_seconds: float) -> str:
    """Run DVC on the repository at ``cwd`` and return what it printed.

    It waits for another DVC that works there.  Its index of what the remotes hold is kept inside the repository, not in
    a folder that all users of the machine share.  It is not asked to be quiet: then it would not say why it failed.

    Raises:
        RepositoryError: DVC failed; the message has the cause where it is known, and DVC's last lines.
    """
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(site_cache(cwd)),
        "PYTHONWARNINGS": "ignore",
        # gcsfs would ask the server for the type of each bucket, and stall for up to a minute where none answers that.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
    if EMULATOR_VARIABLE in environment:
        environment["NO_GCE_CHECK"] = "true"  # no credentials are looked for in a cloud that is not there
    command = ["--wait-for-lock", *arguments]
    return _run([*DVC, *command], cwd, environment, timeout_seconds, shown=" ".join(["dvc", *command]))


def site_cache(repository: Path) -> Path:
    """Where DVC remembers what the remotes hold; it may be removed at any time."""
    return repository.absolute() / ".dvc" / "tmp" / "site"


@contextmanager
def explain_os_errors(doing: str, place: Path | str = "no path given") -> Iterator[None]:
    """Turn an :class:`OSError` (disk full, no permission) into a :class:`RepositoryError` that names the path.

    Args:
        doing: What fails, in the infinitive.
        place: The path, for an error that does not say it: a failed write does not.
    """
    try:
        yield
    except SightlineError:
        raise
    except OSError as error:
        where = error.filename2 or error.filename or place
        raise RepositoryError(
            f"could not {doing}: {error.strerror or error} ({where}); free some space or fix the permissions, "
            "then run the same command again"
        ) from error


def _run(
    command: list[str], cwd: Path | None, environment: Mapping[str, str], timeout_seconds: float, *, shown: str
) -> str:
    shown = redact(shown)
    _log.debug("%s (in %s)", shown, cwd)
    # A lock of data.lock is inherited on purpose: while a command that outlived its caller works, the place is taken.
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        close_fds=False,
    )
    try:
        output, errors = (part.decode("utf-8", "replace") for part in process.communicate(timeout=timeout_seconds))
    except subprocess.TimeoutExpired as error:
        _kill(process)
        raise RepositoryError(
            f"{shown} took more than {timeout_seconds:g} s; check the connection, or raise data.timeout_seconds"
        ) from error
    except BaseException:
        _kill(process)
        raise
    if process.returncode:
        raise RepositoryError(_explain(shown, cwd, process.returncode, redact(f"{output}\n{errors}")))
    return output


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the command and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


def not_readable(place: Path) -> str:
    """What to say of a local repository that is there, but closed to this user."""
    return f"this user has no permission to read {place}; ask its owner for read access to the data repository"


def _closed_place(shown: str, cwd: Path | None) -> Path | None:
    """The part of a local repository that this user may not read; None where all can be read."""
    named = [Path(unquote(path)) for path in re.findall(r"file://(/\S*)", shown)]
    for root in [*named, *([cwd] if cwd else [])]:
        for place in (root, *(root / name for name in (".git", ".git/HEAD", ".git/objects", ".git/refs", "HEAD"))):
            try:
                mode = place.stat().st_mode
            except PermissionError:
                return place
            except OSError:
                continue
            if not os.access(place, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
                return place
    return None


def _explain(shown: str, cwd: Path | None, code: int, output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip() and DVC_FAREWELL not in line][-SHOWN_LINES:]
    if _is_full(cwd or Path.cwd()):
        output += "no space left on device"  # not every command says so
    cause = next((f": {cause}" for pattern, cause in _CAUSES if re.search(pattern, output, re.IGNORECASE)), "")
    if cause == f": {_NOT_THERE}" and (closed := _closed_place(shown, cwd)):
        cause = f": {not_readable(closed)}"
    where = f" in {cwd}" if cwd else ""
    return "\n".join([f"{shown}{where} failed with exit code {code}{cause}", *(f"  {line}" for line in lines)])
