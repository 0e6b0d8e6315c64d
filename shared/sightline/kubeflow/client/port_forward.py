"""A port of this machine that leads to the pipelines' API, for as long as a command runs."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, Queue

from sightline.errors import UnreachableError

START_SECONDS = 20.0
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@contextmanager
def forwarded_port(namespace: str, kubeconfig: str = "", context: str = "") -> Iterator[str]:
    """Forward a free port with kubectl.

    Args:
        namespace: Where Kubeflow Pipelines is installed.
        kubeconfig: Files with colons between them; empty: kubectl's own choice.
        context: Empty: the kubeconfig's current one.

    Yields:
        The address of the port.

    Raises:
        UnreachableError: There is no kubectl, or it cannot forward.
    """
    command = ["kubectl", "--namespace", namespace]
    command += ["--context", context] if context else []
    command += ["port-forward", "--address", "127.0.0.1", "service/ml-pipeline", ":8888"]
    files = [os.path.expanduser(file) for file in kubeconfig.split(os.pathsep) if file]  # noqa: PTH111  (as text)
    places = {**os.environ, "KUBECONFIG": os.pathsep.join(files)} if files else None  # --kubeconfig takes one only
    try:
        process = subprocess.Popen(command, env=places, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError as error:
        raise UnreachableError(
            "--port-forward needs kubectl on PATH; install it, or name the API with --host"
        ) from error
    try:
        yield f"http://127.0.0.1:{_port(process)}"
    finally:
        process.terminate()
        process.wait(timeout=10)
        assert process.stdout is not None  # noqa: S101
        process.stdout.close()


def _port(process: subprocess.Popen[str]) -> str:
    lines: Queue[str | None] = Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    said: list[str] = []
    while True:
        try:
            line = lines.get(timeout=START_SECONDS)
        except Empty:
            line = None
        if line is None:
            why = " ".join(said) or f"nothing in {START_SECONDS:.0f} s"
            raise UnreachableError(f"kubectl cannot forward a port to service/ml-pipeline; it said: {why}")
        match = _FORWARDING.search(line)
        if match:
            return match[1]
        said.append(line.strip())


def _read(process: subprocess.Popen[str], lines: Queue[str | None]) -> None:
    """Read all that kubectl says to its end, or its pipe would fill."""
    assert process.stdout is not None  # noqa: S101
    try:
        for line in process.stdout:
            lines.put(line)
    except ValueError:  # the pipe was closed: the command is done
        pass
    lines.put(None)
