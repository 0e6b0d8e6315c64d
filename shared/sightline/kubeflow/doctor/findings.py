"""The findings of ``doctor``: ok, warning or fault, what it means, and the command that fixes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from sightline.errors import SightlineError
from sightline.strict_json import CLOSED

Level = Literal["ok", "warning", "fault"]
Where = Literal["here", "pod"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        check: What was checked.
        level: The result.
        text: What it means.
        remedy: The command or action that fixes it; empty if nothing is wrong.
        where: Where it was checked: on this machine, or in a pod of the cluster.
    """

    __pydantic_config__ = CLOSED

    check: str
    level: Level
    text: str
    remedy: str = ""
    where: Where = "here"

    def in_pod(self) -> Finding:
        """The same finding, made in a pod."""
        return replace(self, where="pod")


def guarded(check: str, look: Callable[[], Iterator[Finding]], remedy: str) -> Iterator[Finding]:
    """The findings of a check; an error of the check is a fault.

    Args:
        check: Name of the check.
        look: Runs the check.
        remedy: What to do about an error of the check.
    """
    try:
        yield from look()
    except SightlineError as error:
        yield Finding(check, "fault", str(error), remedy)
