import logging
import os
import subprocess
import sys

from sightline.logs import PROGRESS_VARIABLE
from sightline.runs.console import only_own_lines


def test_own_lines_pass_and_everything_is_logged(tmp_path, capsys):
    log = tmp_path / "run" / "pipeline.log"
    with only_own_lines(log):
        sys.stdout.write("[KFP Executor 2026] noise\n")
        sys.stdout.write("    12:00:01 INFO    train: 20/40 iterations\n")
        sys.stdout.write("    12:00:01 INFO    metrics: mask_AP=0.5\n")  # for `status` of Kubeflow alone
        sys.stderr.write("12:00:02 WARN")
        sys.stderr.write("ING little data\nTraceback\n")
        logging.lastResort.stream.write("13:00:00 ERROR   broken\n")
    captured = capsys.readouterr()
    assert captured.out == "12:00:01 INFO    train: 20/40 iterations\n"
    assert captured.err == "12:00:02 WARNING little data\n13:00:00 ERROR   broken\n"
    assert "[KFP Executor 2026] noise\n" in log.read_text()
    assert "Traceback\n" in log.read_text()
    assert "INFO    metrics: mask_AP=0.5\n" in log.read_text()


def test_on_a_terminal_a_task_shows_a_bar_and_lines_their_level(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    log = tmp_path / "pipeline.log"
    task = "from sightline.logs import Progress\nwith Progress('train', total=9, unit='iterations') as p: p.advance(4)"
    with only_own_lines(log):
        done = subprocess.run([sys.executable, "-c", task], capture_output=True, text=True, check=True)
        begun, ended = done.stderr.splitlines()
        sys.stdout.write(f"    {begun}\n")  # as KFP indents what a task says
        sys.stdout.write("12:00:02 WARNING little data\n")
        sys.stdout.write(ended + "\n")
        sys.stdout.write("::progress:: not a record\n")
    shown = capsys.readouterr().err
    assert "0/9" in shown
    assert "\x1b[33m12:00:02 WARNING little data\x1b[0m" in shown
    assert log.read_text() == "12:00:02 WARNING little data\n::progress:: not a record\n"
    assert PROGRESS_VARIABLE not in os.environ


def test_a_pipe_gets_no_bar_and_asks_no_task_for_records(tmp_path):
    with only_own_lines(tmp_path / "pipeline.log"):
        assert PROGRESS_VARIABLE not in os.environ
