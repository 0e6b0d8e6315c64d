"""Logs of tasks: which lines the task wrote, and which Kubeflow added."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_LAUNCHER = re.compile(r"(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+\.go:\d+\] ")
_OTHERS = re.compile(r"time=\S+ level=\w+ msg=.* argo=true|\[KFP Executor [^]]*\]: |Error: exit status \d+$")
_STATUS = re.compile(r"(?:Component failed to execute successfully|failed to execute component): exit status (\d+)")
_METRICS = re.compile(r"\bmetrics: (?P<pairs>\S+=\S+(?: \S+=\S+)*)\s*$")


def own_lines(lines: Iterable[str]) -> Iterator[str]:
    """The lines of the task itself, and errors of Kubeflow.

    Other lines of Kubeflow are dropped, including the multi-line JSON documents that follow some of them.
    """
    document = announced = False
    for line in lines:
        if document:
            document = line != "}"
        elif announced and line == "{":
            document = True
        elif not _is_foreign(line):
            yield line
        else:
            document = line.endswith(" {")
        announced = line.endswith("Got executor_input:")


def _is_foreign(line: str) -> bool:
    launcher = _LAUNCHER.match(line)
    if launcher is None:
        return _OTHERS.match(line) is not None
    return launcher["level"] in "IW" or _STATUS.search(line) is not None


def exit_status(lines: Iterable[str]) -> str:
    """The exit code of the task's own process; that of the container is always 1.  Empty if the log has none."""
    found = [match[1] for line in lines if (match := _STATUS.search(line))]
    return found[-1] if found else ""


def metrics_of(lines: Iterable[str]) -> dict[str, str]:
    """The metrics in the last line of a log such as ``metrics: box_AP50=0.871 EIR=0.93``."""
    for line in reversed(list(lines)):
        match = _METRICS.search(line)
        if match:
            return dict(pair.split("=", 1) for pair in match["pairs"].split())
    return {}
