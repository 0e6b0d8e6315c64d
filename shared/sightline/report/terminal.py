"""Tables and facts on a terminal; piped output keeps its full width and has no colors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

STATE_STYLES = {"succeeded": "green", "failed": "red", "interrupted": "yellow", "stopped": "yellow", "running": "cyan"}
"""The color of each state of a run."""

_PIPED_WIDTH = 400


def terminal() -> Console:
    """The console of this command's standard output, a terminal or a pipe."""
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def show(parts: Iterable[RenderableType]) -> None:
    """Print parts one below another."""
    console = terminal()
    for part in parts:
        if console.is_terminal:
            console.print(part)
            continue
        with console.capture() as printed:
            console.print(part)
        print("\n".join(line.rstrip() for line in printed.get().splitlines()))  # noqa: T201 - tables fill their lines


def heading(text: str) -> Text:
    """The heading of a section, with an empty line above."""
    return Text(f"\n{text}", style="bold cyan")


def table(*columns: str) -> Table:
    """A table with a rule below its headings; columns with a name that ends in ``>`` are right-aligned."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        justify = "right" if name.endswith(">") else "left"
        made.add_column(Text(name.removesuffix(">")), justify=justify, overflow="fold")  # type: ignore[arg-type]
    return made


def facts(rows: Sequence[tuple[str, str | Text]]) -> Table:
    """Two columns without headings, such as a name and its value; one row per line."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(min_width=20, no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(Text(name, style="bold"), Text(value) if isinstance(value, str) else value)
    return made
