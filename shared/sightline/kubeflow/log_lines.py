"""Logs of tasks: which lines are the task's own, and which Kubeflow wrote around them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FOREIGN = re.compile(
    r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+\.go:\d+\] "  # the launcher
    r"|time=\S+ level=\w+ msg=.* argo=true"  # Argo's part in the same container
    r"|\[KFP Executor [^]]*\]: "
    r"|Error: exit status \d+$"
)
_STATUS = re.compile(r"Component failed to execute successfully: exit status (\d+)")
_METRICS = re.compile(r"\bmetrics: (?P<pairs>\S+=\S+(?: \S+=\S+)*)\s*$")


def own_lines(lines: Iterable[str]) -> list[str]:
    """What the task itself wrote.

    Kubeflow's lines go, and so do the documents of many lines that it writes behind some of them.
    """
    own = []
    document = False
    behind = False
    for line in lines:
        if document:
            document = line != "}"
        elif _FOREIGN.match(line):
            document = line.endswith(" {")
            behind = line.endswith("Got executor_input:")
        elif behind and line == "{":
            document, behind = True, False
        else:
            own.append(line)
    return own


def exit_status(lines: Iterable[str]) -> str:
    """The exit code of the task's own process; that of the container is always 1.  Empty where the log has none."""
    found = [match[1] for line in lines if (match := _STATUS.search(line))]
    return found[-1] if found else ""


def metrics_of(lines: Iterable[str]) -> dict[str, str]:
    """The numbers of the last line of a log that says ``metrics: box_AP50=0.871 EIR=0.93``."""
    for line in reversed(list(lines)):
        match = _METRICS.search(line)
        if match:
            return dict(pair.split("=", 1) for pair in match["pairs"].split())
    return {}
