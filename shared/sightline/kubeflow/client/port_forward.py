"""A local port that is forwarded to the pipelines API while a command runs."""

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
        kubeconfig: Files, separated by colons; empty: kubectl's default.
        context: Context of the kubeconfig; empty: the current one.

    Yields:
        The address of the port.

    Raises:
        UnreachableError: kubectl is missing or cannot forward the port.
    """
    command = ["kubectl", "--namespace", namespace]
    command += ["--context", context] if context else []
    command += ["port-forward", "--address", "127.0.0.1", "service/ml-pipeline", ":8888"]
    files = [os.path.expanduser(file) for file in kubeconfig.split(os.pathsep) if file]  # noqa: PTH111  (as text)
    places = {**os.environ, "KUBECONFIG": os.pathsep.join(files)} if files else None  # --kubeconfig accepts only one
    try:
        process = subprocess.Popen(command, env=places, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError as error:
        raise UnreachableError(
            "--port-forward needs kubectl on PATH; install it, or set the address of the API with --host"
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
            raise UnreachableError(f"kubectl cannot forward a port to service/ml-pipeline; its output: {why}")
        match = _FORWARDING.search(line)
        if match:
            return match[1]
        said.append(line.strip())


def _read(process: subprocess.Popen[str], lines: Queue[str | None]) -> None:
    """Read the output of kubectl until it ends, so that its pipe does not fill up."""
    assert process.stdout is not None  # noqa: S101
    try:
        for line in process.stdout:
            lines.put(line)
    except ValueError:  # the pipe was closed because the command is done
        pass
    lines.put(None)
