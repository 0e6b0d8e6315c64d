"""Tokens and cookies in files, which are read for each request because they are renewed in place.

Errors contain the path of the file, never its content.
"""

from __future__ import annotations

from pathlib import Path

from sightline.errors import NotAuthorisedError


def read_secret(path: Path, what: str) -> str:
    """The single line of a file.

    Args:
        path: The file; ``~`` is the home folder.
        what: ``token`` or ``cookie``, for messages.

    Raises:
        NotAuthorisedError: The file is missing, or does not contain exactly one line.
    """
    try:
        text = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise NotAuthorisedError(f"cannot read the {what} in {path} ({reason}); write it there on one line") from error
    if not text or not text.isprintable() or not text.isascii():
        raise NotAuthorisedError(f"{path} must contain the {what} on one line of ASCII; write it there again")
    return text


def headers_from_files(token_file: str, cookie_file: str) -> dict[str, str]:
    """Headers with a bearer token, a session cookie, both or neither; an empty path adds none."""
    headers = {}
    if token_file:
        headers["Authorization"] = f"Bearer {read_secret(Path(token_file), 'token')}"
    if cookie_file:
        headers["Cookie"] = read_secret(Path(cookie_file), "cookie")
    return headers
