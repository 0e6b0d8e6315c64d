"""Ending processes as a container's end does, and saying what they were at."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import psutil

DUMP_SECONDS = 0.003
"""How long a process gets to write down where it is."""

_FRAME = re.compile(r'^  File ".*/sightline/(?P<room>\w+)/(?P<file>\w+)\.py", line \d+ in (?P<function>\w+)$')
_NOWHERE = {("data", "commands"), ("data", "lock"), ("logs", "")}


def kill_tree(pid: int) -> list[str]:
    """SIGKILL a process and all that it started; they are stopped first, so that none starts another meanwhile.

    Returns:
        The commands that were running below it, the innermost last.
    """
    processes: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        found = [psutil.Process(pid)]
        while found:
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
            processes += found
            found = [child for child in processes[0].children(recursive=True) if child not in processes]
    commands = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            commands.append(" ".join(process.cmdline()))
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return commands[1:]


def kill_alone(pid: int) -> list[psutil.Process]:
    """SIGKILL a process and let live what it started, as the out-of-memory killer does; the survivors are returned."""
    with contextlib.suppress(psutil.NoSuchProcess):
        survivors = psutil.Process(pid).children(recursive=True)
        os.kill(pid, signal.SIGKILL)
        return survivors
    return []


def where(pid: int, log: Path) -> str:
    """What function of Sightline a process is in; it dumps its stack into ``log`` on SIGUSR1."""
    before = log.stat().st_size if log.exists() else 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGUSR1)
    time.sleep(DUMP_SECONDS)
    if not log.exists():
        return "begin or end"
    with log.open("rb") as stream:
        stream.seek(before)
        lines = stream.read().decode("utf-8", "replace").splitlines()
    for line in lines:
        match = _FRAME.match(line)
        if match and (match["room"], match["file"]) not in _NOWHERE:
            return f"{match['file']}.{match['function']}"
    return "begin or end"


def kind_of_line(line):
    """``git push`` of the line that says so, or the first words of a statement."""
    return re.sub(r"^sightline.data.git.commands |^sqlalchemy\S+ |\[\S+\]", "", line)[:14]


def shown(log, offset):
    """What a log says from an offset on."""
    try:
        with log.open("rb") as stream:
            stream.seek(offset)
            return stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def kind_of(commands):
    """``git push`` of the command lines of a tree; the outermost says what it is about."""
    for command in commands:
        match = re.search(r"(?:^|/)git (?:-\S+ )*([a-z-]+)|dvc (?:--wait-for-lock )?(\w+)", command)
        if match:
            return f"git {match[1]}" if match[1] else f"dvc {match[2]}"
        if command == "(alone)":
            return "process alone"
    return "no command"
