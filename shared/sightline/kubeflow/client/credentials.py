"""What proves who asks: tokens and cookies from files, read again for each request because they are renewed in place.

None of these objects shows its secret in ``repr``; errors name the file and never what is in it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sightline import strict_json
from sightline.errors import NotAuthorisedError

EXEC_SECONDS = 60.0
_EARLY = timedelta(seconds=60)


def read_secret(path: Path, what: str) -> str:
    """The one line of a file.

    Raises:
        NotAuthorisedError: There is no such file, or it does not hold exactly one line.
    """
    try:
        text = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise NotAuthorisedError(f"the {what} in {path} cannot be read ({reason}); write it there, one line") from error
    if not text or len(text.splitlines()) != 1 or not text.isprintable():
        raise NotAuthorisedError(f"{path} must hold the {what} in one line; write it there again")
    return text


@dataclass(frozen=True)
class FileCredentials:
    """A bearer token, a session cookie, or both, from files.

    Attributes:
        token_file: Empty: none.
        cookie_file: Empty: none.
    """

    token_file: str = ""
    cookie_file: str = ""

    def __call__(self) -> Mapping[str, str]:
        """The headers."""
        headers = {}
        if self.token_file:
            headers["Authorization"] = f"Bearer {read_secret(Path(self.token_file), 'token')}"
        if self.cookie_file:
            headers["Cookie"] = read_secret(Path(self.cookie_file), "cookie")
        return headers


@dataclass(frozen=True)
class FixedHeaders:
    """Headers that hold as long as this process, from a kubeconfig."""

    headers: Mapping[str, str] = field(repr=False)

    def __call__(self) -> Mapping[str, str]:
        """The headers."""
        return self.headers


@dataclass
class ExecCredentials:
    """A token from a program that a kubeconfig names, such as gke-gcloud-auth-plugin; asked again when it expires.

    Attributes:
        command: The program and its arguments.
        environment: Variables for it.
        api_version: What it is to speak, such as client.authentication.k8s.io/v1.
    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    api_version: str
    _token: str = field(default="", repr=False)
    _until: datetime | None = field(default=None, repr=False)

    def __call__(self) -> Mapping[str, str]:
        """The headers."""
        if not self._token or (self._until is not None and datetime.now(UTC) > self._until - _EARLY):
            self._ask()
        return {"Authorization": f"Bearer {self._token}"}

    def _ask(self) -> None:
        wanted = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        import json

        program = self.command[0]
        try:
            done = subprocess.run(
                list(self.command),
                capture_output=True,
                timeout=EXEC_SECONDS,
                check=False,
                env={**os.environ, **self.environment, "KUBERNETES_EXEC_INFO": json.dumps(wanted)},
            )
        except FileNotFoundError as error:
            raise NotAuthorisedError(
                f"your kubeconfig asks {program} for a token, but there is no such program; install it"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise NotAuthorisedError(
                f"your kubeconfig asks {program} for a token, but it gave none in {EXEC_SECONDS:.0f} s; run it by hand"
            ) from error
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise NotAuthorisedError(f"{program}, which gives the cluster's token, failed: {' '.join(last)}")
        try:
            status = strict_json.decode(done.stdout)["status"]
            self._token = str(status["token"])
            until = status.get("expirationTimestamp")
            self._until = datetime.fromisoformat(until) if until else None
        except (strict_json.JsonError, KeyError, TypeError, ValueError) as error:
            raise NotAuthorisedError(f"{program} gave no token that can be understood; run it by hand") from error
