"""What ``doctor`` finds: ok, warning or fault, what it means, and the command that fixes it."""

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
        check: What was looked at.
        level: How it is.
        text: What it means.
        remedy: The command, or what else fixes it; empty where nothing is wrong.
        where: From where it was looked at: this machine, or a pod of the cluster.
    """

    __pydantic_config__ = CLOSED

    check: str
    level: Level
    text: str
    remedy: str = ""
    where: Where = "here"

    def in_pod(self) -> Finding:
        """The same, seen from a pod."""
        return replace(self, where="pod")


def guarded(check: str, look: Callable[[], Iterator[Finding]], remedy: str) -> Iterator[Finding]:
    """The findings of a check; an error of the check is a fault.

    Args:
        check: What is looked at.
        look: Looks.
        remedy: For an error that says nothing of it by itself.
    """
    try:
        yield from look()
    except SightlineError as error:
        yield Finding(check, "fault", str(error), remedy)
