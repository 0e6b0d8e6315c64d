"""Passwords and tokens in URLs: refused in the configuration, and hidden wherever a URL is shown."""

from __future__ import annotations

import re

_WITH_USER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<user>[^/\s][^\s]*)@")
_SHOWN = re.compile(r"(?<=://)[^/\s'\"][^\s'\"]*@")
_IN_QUERY = re.compile(r"(?<=[?&])(password|passwd|pwd|token|access_token)=[^&\s'\"]*", re.IGNORECASE)
_TOKEN = re.compile(r"(gh[a-z]_|github_pat_|glpat-|ya29\.|[0-9a-f]{40}$)")
"""How the tokens of GitHub, GitLab and Google begin; they work as a user name too."""


def holds_secret(url: str) -> bool:
    """Whether a password or token stands before the host; a user's name alone is none.

    Example:
        >>> holds_secret("https://me:s3cret@host/data.git"), holds_secret("ssh://git@host/data.git")
        (True, False)
    """
    if "://" in url and _IN_QUERY.search(url):
        return True
    match = _WITH_USER.match(url)
    return match is not None and (":" in match["user"] or _TOKEN.match(match["user"]) is not None)


def redact(text: str) -> str:
    """``text`` without what stands before the host in its URLs, and without passwords in their queries.

    Example:
        >>> redact("clone https://me:s3cret@host/data.git")
        'clone https://***@host/data.git'
    """
    return _IN_QUERY.sub(r"\1=***", _SHOWN.sub("***@", text))
