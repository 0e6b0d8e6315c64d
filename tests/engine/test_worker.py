"""How the processes of a training end without the process that started them."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest


def program(body):
    """A Python program that runs until something ends it."""
    code = textwrap.dedent(body) + "\nprint('ready', flush=True)\ntime.sleep(60)\n"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ.copy())


@pytest.fixture
def heartbeat(tmp_path):
    path = tmp_path / "heartbeat"
    path.write_text("1")
    return path


WATCHING = """
    import time
    from pathlib import Path
    from sightline.engine import worker
    worker.SILENCE_SECONDS = {seconds}
    worker._end_without(Path({path!r}))
"""


def test_a_process_on_another_node_ends_when_the_step_is_silent(heartbeat):
    with program(WATCHING.format(seconds=1.0, path=str(heartbeat))) as process:
        assert process.wait(timeout=60) == -signal.SIGTERM


def test_a_process_on_another_node_goes_on_while_the_step_shows_life(heartbeat):
    with program(WATCHING.format(seconds=4.0, path=str(heartbeat))) as process:
        process.stdout.readline()
        begin, beats = time.monotonic(), 1
        while time.monotonic() - begin < 6.0:
            heartbeat.write_text(str(beats := beats + 1))
            time.sleep(0.1)
        assert process.poll() is None
        process.kill()


def test_a_process_ends_with_its_parent():
    child = "import time; from sightline.processes import end_with_parent; end_with_parent(); time.sleep(60)"
    body = f"""
        import subprocess, sys, time
        print(subprocess.Popen([sys.executable, "-c", {child!r}]).pid, flush=True)
        time.sleep(2)  # until the child watches
    """
    with program(body) as parent:
        pid = int(parent.stdout.readline())
        parent.stdout.readline()
        parent.kill()
        parent.wait()
    gone, _ = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert gone or not psutil.pid_exists(pid)
