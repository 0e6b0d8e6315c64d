"""A process that has imported DVC and forks for each command: importing takes most of the time of a small command.

Serves ``forked_dvc_client`` on the Unix socket of its first argument until its standard input is closed.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback

IMPORTS = (
    "aiohttp", "dvc.cli", "dvc.cli.parser", "dvc.commands.add", "dvc.commands.data_sync", "dvc.commands.init",
    "dvc.commands.remote", "dvc.fs", "dvc.repo", "dvc.repo.fetch", "dvc.repo.index", "dvc.repo.push", "dvc.scm",
    "dvc.stage.cache", "dvc_data.index.build", "dvc_data.index.push", "dvc_objects.fs.local", "networkx",
    "networkx.algorithms", "rich.console", "ruamel.yaml", "scmrepo.git",
)  # fmt: skip
"""No client of Google: its modules read the environment while they are imported."""


def serve(path: str) -> None:
    for name in IMPORTS:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in readable:
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                watch(connection)
            connection.close()


def watch(connection: socket.socket) -> None:
    """Fork the command, and tell its exit status; a client that is killed takes its command along."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    asked = json.loads(message)
    child = os.fork()
    if child == 0:
        connection.close()
        run(asked, files)
    for file in files:
        os.close(file)
    end = os.pidfd_open(child)
    readable, _, _ = select.select([end, connection], [], [])
    if end not in readable:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if end in readable:
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def run(asked: dict, files: list[int]) -> None:
    """Become ``python -m dvc`` with the arguments, environment, folder and files of the client."""
    code = 1
    try:
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(asked["environment"])
        os.umask(asked["umask"])
        os.chdir(asked["folder"])
        tempfile.tempdir = None
        sys.argv = ["dvc", *asked["arguments"]]
        from dvc.cli import main

        code = main(sys.argv[1:])
        atexit._run_exitfuncs()
    except BaseException:  # noqa: BLE001  (shown, and the process ends here)
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
