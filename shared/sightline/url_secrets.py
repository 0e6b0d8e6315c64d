"""Passwords and tokens in URLs: rejected in the configuration, and hidden in all output."""

from __future__ import annotations

import re

_WITH_USER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<user>[^/\s][^\s]*)@")
_SHOWN = re.compile(r"(?<=://)[^/\s'\"][^\s'\"]*@")
_IN_QUERY = re.compile(r"(?<=[?&])(password|passwd|pwd|token|access_token)=[^&\s'\"]*", re.IGNORECASE)
_TOKEN = re.compile(r"(gh[a-z]_|github_pat_|glpat-|ya29\.|[0-9a-f]{40}$)")
"""Prefixes of tokens of GitHub, GitLab and Google, which can also be used as a user name."""


def holds_secret(url: str) -> bool:
    """Whether a URL contains a password or token; a user name alone is not a secret.

    Example:
        >>> holds_secret("https://me:s3cret@host/data.git"), holds_secret("ssh://git@host/data.git")
        (True, False)
    """
    if "://" in url and _IN_QUERY.search(url):
        return True
    match = _WITH_USER.match(url)
    return match is not None and (":" in match["user"] or _TOKEN.match(match["user"]) is not None)


def redact(text: str) -> str:
    """``text`` without credentials before the host of its URLs, and without passwords in their queries.

    Example:
        >>> redact("clone https://me:s3cret@host/data.git")
        'clone https://***@host/data.git'
    """
    return _IN_QUERY.sub(r"\1=***", _SHOWN.sub("***@", text))
