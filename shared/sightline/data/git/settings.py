"""The configuration for running git: the user's own, plus the settings that Sightline needs.

It is a file, because git passes a file on to its child processes, unlike ``-c``.  It contains no secret: the token for
https stays in the environment, and a credential helper in the configuration returns it when the server of the data
repository asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

TOKEN_VARIABLE = "SIGHTLINE_GIT_TOKEN"  # noqa: S105  (the name of the variable)
"""Environment variable with the token or password for a data repository behind https."""

TOKEN_USER = "x-access-token"  # noqa: S105
"""User name for the token if the URL has none; GitHub and GitLab accept any."""

STALL_SECONDS = 60
"""A connection without data for this long is closed; the limit of a command allows for large repositories."""

BEFORE = f"""\
[core]
	sshCommand = ssh -oBatchMode=yes -oConnectTimeout={STALL_SECONDS} -oServerAliveInterval={STALL_SECONDS // 4}
[http]
	lowSpeedLimit = 1
	lowSpeedTime = {STALL_SECONDS}
"""
"""Settings that the user's configuration, and GIT_SSH_COMMAND, may override."""

AFTER = """\
[gc]
	auto = 0
[core]
	autocrlf = false
[commit]
	gpgSign = false
[tag]
	gpgSign = false
[advice]
	detachedHead = false
"""
"""Settings that would make git's results depend on the user, or start processes that outlive the command."""

# Git's request comes on standard input; a user name from the URL or the user's settings is kept.
_HELPER = (
    f'!answer() {{ test \\"$1\\" = get || exit 0; user={TOKEN_USER}; '
    'while read -r line; do case \\"$line\\" in username=*) user=${line#username=};; esac; done; '
    f'echo \\"username=$user\\"; echo \\"password=${TOKEN_VARIABLE}\\"; }}; answer'
)


def git_configuration(repositories: Sequence[str], environment: Mapping[str, str] = os.environ) -> str:
    """The text of a configuration file.

    Args:
        repositories: The paths or URLs that the command uses: they may be owned by another user, as on a shared volume,
            and their servers receive the token, if there is one.
        environment: Locates the user's own configuration, and contains the token, if any.
    """
    own = environment.get("GIT_CONFIG_GLOBAL")
    xdg = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git" / "config"
    lines = [BEFORE]
    lines += [f"[include]\n\tpath = {_quoted(str(path))}\n" for path in ([own] if own else [xdg, "~/.gitconfig"])]
    for repository in repositories:
        local = repository.removeprefix("file://").rstrip("/")
        lines += [f"[safe]\n\tdirectory = {_quoted(name)}\n" for name in (local, f"{local}/.git")]
        server = _server(repository)
        if server and environment.get(TOKEN_VARIABLE):
            lines.append(f'[credential {_quoted(server)}]\n\thelper =\n\thelper = "{_HELPER}"\n')
    return "".join([*lines, AFTER])


def _server(repository: str) -> str:
    """The server that may receive the token: an https or local server of a repository; otherwise empty."""
    try:
        parts = urlsplit(repository)
        here = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if here or parts.scheme == "https" else ""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
