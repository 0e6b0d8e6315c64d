import logging
import sys

from sightline.steps.console import only_own_lines


def test_own_lines_pass_and_everything_is_logged(tmp_path, capsys):
    log = tmp_path / "run" / "pipeline.log"
    with only_own_lines(log):
        sys.stdout.write("[KFP Executor 2026] noise\n")
        sys.stdout.write("    12:00:01 INFO    train: 20/40 iterations\n")
        sys.stderr.write("12:00:02 WARN")
        sys.stderr.write("ING little data\nTraceback\n")
        logging.lastResort.stream.write("13:00:00 ERROR   broken\n")
    captured = capsys.readouterr()
    assert captured.out == "12:00:01 INFO    train: 20/40 iterations\n"
    assert captured.err == "12:00:02 WARNING little data\n13:00:00 ERROR   broken\n"
    assert "[KFP Executor 2026] noise\n" in log.read_text()
    assert "Traceback\n" in log.read_text()
