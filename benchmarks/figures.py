"""What a benchmark found, and the table that shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement.

    Attributes:
        name: What was measured.
        value: Median or best of the runs, as it is shown: ``"146,000 rows/s"``.
        peer: The same work done in another way in the same run; empty where there is no peer.
        ratio: Against the peer; above 1 is better than the peer.
        target: What is promised, such as ``">= 40,000 rows/s"``; empty for a peer or where nothing is promised.
        met: Whether the promise is kept; None without one.
    """

    name: str
    value: str
    peer: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


def show(title: str, figures: Iterable[Figure]) -> None:
    """Print the figures as a table."""
    table = Table(title=title, title_justify="left")
    for column in ("figure", "measured", "against", "ratio", "target", ""):
        table.add_column(column, justify="right" if column in {"measured", "ratio"} else "left", overflow="fold")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} x"
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        table.add_row(figure.name, figure.value, figure.peer, ratio, figure.target, verdict)
    console = Console()
    Console(width=None if console.is_terminal else 140).print(table)
