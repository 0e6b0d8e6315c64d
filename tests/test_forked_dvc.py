"""Commands of DVC that tests fork from a server are those of ``python -m dvc``."""

import fcntl
import os
import re
import shutil
import stat
import time

import psutil
import pytest

from sightline.data.git import commands
from sightline.errors import RepositoryError
from tests.servers.forked_dvc import INSTALLED

COMMANDS = (["init", "--no-scm"], ["remote", "list"], ["add", "missing"], ["status"], ["no such command"])


def outcomes(folder, monkeypatch, command):
    """What the commands print or how they fail, and the files that they leave with their modes."""
    monkeypatch.setattr(commands, "DVC", command)
    folder.mkdir()
    said = []
    for arguments in COMMANDS:
        try:
            said.append(commands.dvc(*arguments, cwd=folder, timeout_seconds=60))
        except RepositoryError as error:
            said.append(str(error))
    modes = {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    shutil.rmtree(folder)
    return said, {re.sub(r"\b[0-9a-f]{32}\b", "<id>", name): mode for name, mode in modes.items()}


def test_they_say_and_leave_the_same(tmp_path, monkeypatch):
    forked = commands.DVC
    assert forked is not INSTALLED
    before = os.umask(0o027)
    try:
        installed = outcomes(tmp_path / "data", monkeypatch, INSTALLED)
        assert outcomes(tmp_path / "data", monkeypatch, forked) == installed
    finally:
        os.umask(before)


def test_they_see_the_environment_of_the_caller(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "mine"))
    commands.dvc("config", "--global", "core.autostage", "true", cwd=tmp_path, timeout_seconds=60)
    assert (tmp_path / "mine" / "dvc" / "config").is_file()


def test_one_that_takes_too_long_is_killed(tmp_path):
    commands.dvc("init", "--no-scm", cwd=tmp_path, timeout_seconds=60)
    with (tmp_path / ".dvc" / "tmp" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RepositoryError, match="took more than 1 s"):
            commands.dvc("gc", "--workspace", "--force", cwd=tmp_path, timeout_seconds=1)
        deadline = time.monotonic() + 20
        while (left := working_in(tmp_path)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == []


def working_in(folder):
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]
