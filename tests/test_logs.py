import logging
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from sightline import logs
from sightline.logs import Progress, ProgressRecord, configure_logging


@pytest.fixture
def lines(monkeypatch, caplog):
    monkeypatch.setattr(logs, "LINE_INTERVAL_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "sightline")
    return caplog


def test_a_line_says_how_far_and_how_long(lines):
    with Progress("read", total=4, unit="images") as progress:
        progress.advance(2)
    assert len(lines.messages) == 1
    assert "read: 2/4 images" in lines.messages[0]
    assert "images/s" in lines.messages[0]
    assert "s left" in lines.messages[0]


def test_without_a_total_there_is_no_estimate(lines):
    with Progress("read", unit="images") as progress:
        assert list(progress.track("ab")) == ["a", "b"]
    assert "2 images" in lines.messages[-1]
    assert "left" not in lines.messages[-1]


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [(512, 999, "512 bytes/999 bytes"), (1_000, 2_500_000, "1.0 kB/2.5 MB"), (123_456_789, None, "123.5 MB, ")],
)
def test_bytes_are_shown_as_people_read_them(lines, done, total, shown):
    with Progress("fetch", total=total, unit="bytes") as progress:
        progress.advance(done)
    assert f"fetch: {shown}" in lines.messages[-1]


def test_threads_may_share_a_progress():
    progress = Progress("fetch", unit="bytes")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(progress.advance, [1] * 20_000))
    assert progress.done == 20_000


def test_short_work_is_silent(caplog):
    caplog.set_level(logging.INFO, "sightline")
    with Progress("read", total=1) as progress:
        progress.advance()
    assert caplog.messages == []


@pytest.mark.parametrize(("unit", "shown"), [("images", r"2/2\S* images"), ("bytes", r"2 bytes/2 bytes")])
def test_a_terminal_gets_a_bar(monkeypatch, capsys, unit, shown):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with Progress("read", total=2, unit=unit) as progress:
        progress.advance(2)
    assert re.search(shown, capsys.readouterr().err)


@pytest.mark.parametrize("progress", ["bar", "records"])
def test_no_work_has_no_bar(monkeypatch, capsys, progress):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv(logs.PROGRESS_VARIABLE, progress)
    with Progress("compare files", total=0, unit="files"):
        pass
    assert capsys.readouterr().err == ""


def test_a_result_line_appears_above_the_bar(monkeypatch, capsys):
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    line = f"/photos/[1] :key: {'x' * 40}.jpg: 13 detections"
    with Progress("predict", total=1, unit="images") as progress:
        progress.echo(line)
        progress.advance()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert line in re.split(r"[\r\n]|\x1b\[\d*[A-Z]", shown.err)


def test_piped_results_are_plain_beside_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress("predict", total=1, unit="images") as progress:
        progress.echo("a.jpg: 13 detections")
        print("b.jpg: 2 detections")  # noqa: T201
        progress.advance()
    assert capsys.readouterr().out == "a.jpg: 13 detections\nb.jpg: 2 detections\n"


def test_log_lines_carry_time_and_level(capsys):
    configure_logging()
    try:
        logging.getLogger("sightline.x").warning("little data")
    finally:
        logger = logging.getLogger("sightline")
        logger.handlers.clear()
        logger.propagate = True
    assert capsys.readouterr().err.split(" ", 1)[1] == "WARNING little data\n"


def test_a_task_reports_its_progress_to_the_process_that_started_it(monkeypatch, capsys):
    monkeypatch.setenv(logs.PROGRESS_VARIABLE, "records")
    monkeypatch.setattr(logs, "RECORD_INTERVAL_SECONDS", 0.0)
    with Progress("train", total=5, unit="iterations", begin=2) as progress:
        progress.advance()
    records = [ProgressRecord.parse(line) for line in capsys.readouterr().err.splitlines()]
    assert [(record.done, record.ended) for record in records] == [(2, False), (3, False), (3, True)]
    assert {record.key for record in records} == {records[0].key}
    assert (records[0].description, records[0].total, records[0].unit) == ("train", 5, "iterations")


def test_work_with_lines_of_its_own_adds_none(lines):
    with Progress("train", total=2, lines=False) as progress:
        progress.advance(2)
    assert lines.messages == []


@pytest.mark.parametrize(
    ("level", "no_color", "expected"),
    [("warning", "", "\x1b[33m"), ("error", "", "\x1b[31m"), ("warning", "1", ""), ("info", "", "")],
)
def test_levels_have_colours_on_a_terminal_only(monkeypatch, capsys, level, no_color, expected):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    configure_logging()
    getattr(logging.getLogger("sightline.x"), level)("piped")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    getattr(logging.getLogger("sightline.x"), level)("shown")
    piped, shown = capsys.readouterr().err.splitlines()
    assert "\x1b" not in piped
    assert shown.startswith(expected)
    assert ("\x1b" in shown) == bool(expected)
