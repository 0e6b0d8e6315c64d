"""Runs git and DVC without prompts and with a time limit, and preserves their output."""

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
"""The program that runs DVC."""

DVC_FAREWELL = "Having any troubles?"
FULL_BYTES = 1 << 20
"""If less space is free, the disk counts as full for git and DVC."""

EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"
"""Environment variable of Google's libraries, and of gcsfs, with the address of another server than Google Storage."""

_GIT_PLACES = {
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE",
    "GIT_PREFIX", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
}  # fmt: skip
"""Environment variables that would redirect git to another repository; git hooks set them."""

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
     "the server answered with a web page instead of git data: it may require a login, or not be a git server; "
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
        arguments: Arguments without ``git`` itself.
        cwd: Working directory; the current one by default.
        timeout_seconds: Time limit.
        trusted: Repositories that may be owned by another user, as on a shared volume.
        variables: Additional environment variables, such as the author's name.

    Raises:
        RepositoryError: Git failed; the message contains the cause, if known, and git's last lines.
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

    It waits for other DVC processes in the same repository.  Its index of the remotes' contents is kept inside the
    repository instead of a folder shared by all users of the machine.  ``--quiet`` is not used: it would hide the
    reason for a failure.

    Raises:
        RepositoryError: DVC failed; the message contains the cause, if known, and DVC's last lines.
    """
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(site_cache(cwd)),
        "PYTHONWARNINGS": "ignore",
        # gcsfs would request the type of each bucket, and stall for up to a minute if the emulator does not answer.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
    if EMULATOR_VARIABLE in environment:
        environment["NO_GCE_CHECK"] = "true"  # do not look for credentials of a cloud machine
    command = ["--wait-for-lock", *arguments]
    return _run([*DVC, *command], cwd, environment, timeout_seconds, shown=" ".join(["dvc", *command]))


def site_cache(repository: Path) -> Path:
    """DVC's cache of the remotes' contents; it may be removed at any time."""
    return repository.absolute() / ".dvc" / "tmp" / "site"


@contextmanager
def explain_os_errors(doing: str, place: Path | str = "no path given") -> Iterator[None]:
    """Turn an :class:`OSError` (disk full, no permission) into a :class:`RepositoryError` that names the path.

    Args:
        doing: The failed action, in the infinitive.
        place: The path, for errors without a path, such as a failed write.
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
    # The lock file is inherited on purpose: if the command outlives its caller, the lock is still held.
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
    """Kill the command and its child processes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


def not_readable(place: Path) -> str:
    """The message about a local repository that this user may not read."""
    return f"this user has no permission to read {place}; ask its owner for read access to the data repository"


def _closed_place(shown: str, cwd: Path | None) -> Path | None:
    """The part of a local repository that this user may not read; None if all parts are readable."""
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
        output += "no space left on device"  # not every command reports it
    cause = next((f": {cause}" for pattern, cause in _CAUSES if re.search(pattern, output, re.IGNORECASE)), "")
    if cause == f": {_NOT_THERE}" and (closed := _closed_place(shown, cwd)):
        cause = f": {not_readable(closed)}"
    where = f" in {cwd}" if cwd else ""
    return "\n".join([f"{shown}{where} failed with exit code {code}{cause}", *(f"  {line}" for line in lines)])
