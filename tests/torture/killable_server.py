"""A MariaDB that is killed and comes back on the same folder and port, as a pod with a volume does."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from sightline.database.engine.connection import connect
from sightline.database.schema.upgrade import upgrade
from tests.servers.mariadb import new_database, own_server, wait_for


class KillableServer:
    """A running server.

    Attributes:
        url: Of a database on it; the password is in the environment.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._process = psutil.Process(int((folder / "pid").read_text()))
        # What the first start did once, such as making the user, is not done again.
        self._command = [part for part in self._process.cmdline() if not part.startswith("--init-file")]
        self._restarted: list[subprocess.Popen[bytes]] = []

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop answering, with every connection open, as behind a network that is gone."""
        self._process.suspend()

    def thaw(self) -> None:
        """Go on."""
        self._process.resume()

    def restart(self) -> None:
        """Start it again; it answers when this returns."""
        started = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._restarted.append(started)
        self._process = psutil.Process(started.pid)
        wait_for(self.url)

    def stop(self) -> None:
        """End what was restarted."""
        for started in self._restarted:
            started.kill()
            started.wait()


@contextlib.contextmanager
def killable_server() -> Iterator[KillableServer]:
    """A server of our own; its socket's path must be short, so it lies in the system's temporary folder."""
    with (
        tempfile.TemporaryDirectory(prefix="torture-") as name,
        own_server(Path(name)) as url,
    ):
        wait_for(url)
        server = KillableServer(url, Path(name))
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def new_schema(server: KillableServer) -> Iterator[str]:
    """A database at its schema, without rows."""
    with new_database(server.url) as url:
        engine = connect(url)
        upgrade(engine)
        engine.dispose()
        yield url
