import logging

import pytest

from sightline import logs
from sightline.logs import Progress, configure_logging


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


def test_short_work_is_silent(caplog):
    caplog.set_level(logging.INFO, "sightline")
    with Progress("read", total=1) as progress:
        progress.advance()
    assert caplog.messages == []


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress("read", total=2, unit="images") as progress:
        progress.advance(2)
    assert "read" in capsys.readouterr().err


def test_log_lines_carry_time_and_level(capsys):
    configure_logging()
    try:
        logging.getLogger("sightline.x").warning("little data")
    finally:
        logger = logging.getLogger("sightline")
        logger.handlers.clear()
        logger.propagate = True
    assert capsys.readouterr().err.split(" ", 1)[1] == "WARNING little data\n"
