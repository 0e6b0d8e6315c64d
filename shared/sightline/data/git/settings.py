"""The configuration for running git: the user's own, with the settings that Sightline needs.

It is a file, because git hands it on to the processes that it starts, unlike ``-c``.  It names no secret: the token for
https stays in the environment, and a credential helper that is part of the configuration answers with it when the
server of the data repository asks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

TOKEN_VARIABLE = "SIGHTLINE_GIT_TOKEN"  # noqa: S105  (the name of the variable)
"""Environment variable with the token or password for a data repository behind https."""

TOKEN_USER = "x-access-token"  # noqa: S105
"""User name that goes with the token where the URL has none; GitHub and GitLab take any."""

STALL_SECONDS = 60
"""A connection on which nothing comes for so long is given up; the command's own limit is for large repositories."""

BEFORE = f"""\
[core]
	sshCommand = ssh -oBatchMode=yes -oConnectTimeout={STALL_SECONDS} -oServerAliveInterval={STALL_SECONDS // 4}
[http]
	lowSpeedLimit = 1
	lowSpeedTime = {STALL_SECONDS}
"""
"""What the user's own settings, and GIT_SSH_COMMAND, may change."""

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
"""What makes git's results differ from user to user, or start something that outlives the command."""

# What git asks comes on standard input; a user name that the URL or the user's settings gave is kept.
_HELPER = (
    f'!answer() {{ test \\"$1\\" = get || exit 0; user={TOKEN_USER}; '
    'while read -r line; do case \\"$line\\" in username=*) user=${line#username=};; esac; done; '
    f'echo \\"username=$user\\"; echo \\"password=${TOKEN_VARIABLE}\\"; }}; answer'
)


def git_configuration(repositories: Sequence[str], environment: Mapping[str, str] = os.environ) -> str:
    """The text of a configuration file.

    Args:
        repositories: Those that the command works on, paths or URLs: they may belong to another user, as they do on a
            shared volume, and their servers are given the token, if there is one.
        environment: Says where the user's own configuration is, and whether there is a token.
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
    """Where the token may go: the https server of a repository, or one on this machine; nothing for the rest."""
    try:
        parts = urlsplit(repository)
        here = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if here or parts.scheme == "https" else ""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
