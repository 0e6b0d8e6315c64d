"""Champions and their history on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from sightline.registry.champion_history import ChampionHistory
from sightline.registry.champions import RESET, ROLLBACK, UNCOMPARED, ChampionPointer
from sightline.report.lineage.wording import UNKNOWN, short, time_text
from sightline.report.terminal import facts, heading, table
from sightline.report.wording import NOTHING, metric_text

_STYLES = {UNCOMPARED: "yellow", RESET: "yellow"}


def champions_table(found: Sequence[ChampionHistory]) -> Table:
    """One line per champion."""
    lines = table("champion of", "model", "value>", "since, UTC", "promoted", "by")
    for one in found:
        name = Text(str(one.name))
        champion = one.champion
        if champion is None:
            lines.add_row(name, Text("unreadable" if one.notes else NOTHING, style="red"))
            continue
        lines.add_row(
            name,
            Text(short(champion.sha256)),
            metric_text(champion.value),
            time_text(_time(champion.promoted_at)),
            action_text(champion.action),
            Text(champion.actor or UNKNOWN),
        )
    return lines


def champion_facts(one: ChampionHistory) -> Iterator[RenderableType]:
    """All facts about a champion."""
    yield heading(str(one.name))
    champion = one.champion
    if champion is None:
        yield Text("there is no champion, or its pointer cannot be read", style="red")
        return
    yield facts(
        [
            ("model", champion.sha256),
            ("file", champion.uri),
            ("training tag", champion.training_tag or NOTHING),
            ("value", _values(champion)),
            ("instead of", champion.previous_sha256 or NOTHING),
            ("promoted", _how(champion)),
            ("reason", champion.reason or NOTHING),
            ("evidence", champion.evidence or NOTHING),
        ]
    )


def history_text(one: ChampionHistory) -> Iterator[RenderableType]:
    """All promotions, the newest first, each on a few lines."""
    yield heading(str(one.name))
    if not one.promotions:
        yield Text("no promotions yet")
    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_column(justify="right", no_wrap=True)
    lines.add_column(overflow="fold")
    for index, entry in enumerate(one.promotions):
        number = Text(str(entry.sequence or NOTHING), style="bold")
        earlier = [other.sequence for other in one.promotions[index + 1 :] if other.sha256 == entry.sha256]
        lines.add_row(number, _how(entry, earlier[:1], now=entry is one.champion))
        models = (
            f"{short(entry.sha256)} instead of {short(entry.previous_sha256)}"
            if entry.previous_sha256
            else short(entry.sha256)
        )
        lines.add_row("", Text(f"{models}: {_values(entry)}"))
        if entry.reason:
            lines.add_row("", Text(entry.reason))
        if entry.evidence:
            lines.add_row("", Text(entry.evidence, style="dim"))
    yield lines


def action_text(action: str) -> Text:
    """How a champion was promoted."""
    return Text(action or UNKNOWN, style=_STYLES.get(action, ""))


def _how(entry: ChampionPointer, earlier: Sequence[int] = (), *, now: bool = False) -> Text:
    """Such as ``2026-11-29 15:04 UTC  rollback to 2 by alice@host``."""
    text = Text(f"{time_text(_time(entry.promoted_at))} UTC  ").append_text(action_text(entry.action))
    if entry.action == ROLLBACK and earlier:
        text.append(f" to {earlier[0]}")
    by_run = entry.run_id and entry.actor in {"", entry.run_id}
    text.append(f" by run {entry.run_id}" if by_run else f" by {entry.actor or UNKNOWN}")
    return text.append("  champion now", style="green") if now else text


def _values(entry: ChampionPointer) -> str:
    value = "not measured" if entry.value is None else f"{entry.metric} {metric_text(entry.value)}"
    if not entry.previous_sha256:
        return value
    before = "not compared" if entry.previous_value is None else f"before {metric_text(entry.previous_value)}"
    return f"{value}, {before}"


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None
