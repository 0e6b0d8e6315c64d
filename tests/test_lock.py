"""Locks: who waits is told for whom, and what lies in a lock file blocks nobody."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from sightline.errors import RepositoryError
from sightline.lock import exclusive_lock, shared_lock
from tests.golden import raises

HOLDER = """
    import sys, time
    from pathlib import Path
    from sightline.lock import exclusive_lock

    with exclusive_lock(Path(sys.argv[1]), 5.0):
        print("held", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds a lock until its standard input ends."""
    path = tmp_path / "locks" / "one"
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(path)]
    with subprocess.Popen(command, env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield path, process
        process.stdin.close()


def test_who_waits_in_vain_is_told_for_whom(holder, caplog, monkeypatch):
    path, process = holder
    monkeypatch.setattr("sightline.lock.FIRST_WORD_SECONDS", 0.0)
    with caplog.at_level("INFO"), pytest.raises(RepositoryError) as caught, exclusive_lock(path, 0.3):
        pass
    for text in (str(caught.value), caplog.text):
        assert f"process {process.pid} on {os.uname().nodename}" in text
        assert "(-c" in text
    assert len(caplog.records) == 1


def test_a_lock_is_free_when_its_holder_was_killed(holder):
    path, process = holder
    process.kill()
    process.wait()
    with exclusive_lock(path, 5.0):
        assert json.loads(path.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"host": "x"}', b'{"host": 1, "pid": "x"}', b"\xff" * 9])
def test_what_lies_in_a_lock_file_blocks_nobody(holder, text):
    path, _ = holder
    path.write_bytes(text)
    with raises(RepositoryError), exclusive_lock(path, 0.1):
        pass
    other = path.with_name("other")
    other.write_bytes(text)
    with exclusive_lock(other, 0.1):
        pass
    with shared_lock(other, 0.1), shared_lock(other, 0.1):
        assert json.loads(other.read_text())["pid"] == os.getpid()


def test_who_only_tries_a_lock_leaves_no_trace(tmp_path):
    path = tmp_path / "lock"
    with exclusive_lock(path, 0.0):
        assert path.read_bytes() == b""


def test_a_child_that_outlived_the_holder_is_named_as_what_works(tmp_path):
    path = tmp_path / "lock"
    script = HOLDER.replace(
        'print("held", flush=True)', 'import subprocess; subprocess.Popen(["sleep", "30"], close_fds=False)'
    )
    script = script.replace("sys.stdin.read()", "")
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], env=os.environ, check=True)
    gone = raises(RepositoryError)
    with gone, exclusive_lock(path, 0.1):
        pass
