"""DVC for tests: each command of this process is forked from a server that has imported DVC once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sightline.data.git import commands

HERE = Path(__file__).parent
INSTALLED = commands.DVC


@contextlib.contextmanager
def dvc_server() -> Iterator[tuple[str, ...]]:
    """Start the server, and give the command that takes the place of ``python -m dvc``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    environment |= {"LC_ALL": "C", "PYTHONWARNINGS": "ignore", "DVC_NO_ANALYTICS": "1"}
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has 107 characters at most
        socket = str(Path(folder) / "socket")
        server = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "forked_dvc_server.py"), socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        try:
            if server.stdout.readline() != b"ready\n":
                raise RuntimeError(f"the server of DVC did not start, exit code {server.wait()}; its message is above")
            yield (sys.executable, "-I", "-S", str(HERE / "forked_dvc_client.py"), socket)
        finally:
            server.stdin.close()
            server.stdout.close()
            server.wait()


class OnFirstUse:
    """The parts of a command that is only made when somebody runs it: most test files need no DVC."""

    def __init__(self, make: Callable[[], tuple[str, ...]]) -> None:
        self.make, self.command, self.lock = make, (), threading.Lock()

    def __iter__(self) -> Iterator[str]:
        with self.lock:
            self.command = self.command or self.make()
        return iter(self.command)


@pytest.fixture(scope="session", autouse=True)
def forked_dvc():
    """For the whole session; programs that tests start run DVC as it is installed."""
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "DVC", OnFirstUse(lambda: stack.enter_context(dvc_server())))
        yield


@pytest.fixture
def installed_dvc(monkeypatch):
    """``python -m dvc``, which has the powers and limits of its caller."""
    monkeypatch.setattr(commands, "DVC", INSTALLED)
