"""``sightline gc``: garbage collection."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from sightline.config.decode import decode, decode_places

if TYPE_CHECKING:
    from sightline.garbage import Garbage, Sweep

SHOWN_ENTRIES = 20
_UNITS = {"h": 3600, "d": 86400}


class _AgeType(click.ParamType[timedelta]):
    """``7d`` or ``36h``."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,6})([hd])", value)
        if match is None:
            self.fail(f"{value!r} is not an age; expected hours or days, such as 36h or 7d", param, ctx)
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Show what would be removed; the default.")
@click.option("--yes", is_flag=True, help="Remove the listed files.")
@click.option(
    "--older-than",
    type=_AgeType(),
    default="7d",
    show_default=True,
    metavar="AGE",
    help="Keep files written or used within this time, such as 7d or 36h; at least 1h.",
)
@click.option("--recipe", default="", help="Recipe of the configuration; default: only the settings file.")
@click.option(
    "--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the configuration, as for a run; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *, dry_run: bool, yes: bool, older_than: timedelta, recipe: str, overrides: tuple[str, ...], as_json: bool
) -> None:
    """List files that no published version, model or champion needs; remove them with --yes.

    Result bucket: unfinished and superseded publications. Work volume: folders of finished steps, runs that produced
    nothing, unused checkouts, the DVC cache, partial files of killed processes. Temporary folder (/tmp, or TMPDIR):
    folders left behind by killed Sightline processes of any project. The data repository and its remotes are never
    changed.
    """
    if dry_run and yes:
        raise click.UsageError("--dry-run and --yes cannot be combined")
    from sightline.garbage import sweep

    config = decode(recipe, overrides) if recipe else decode_places(overrides)
    done = sweep(config, older_than, delete=yes)
    if as_json:
        click.echo(json.dumps(_document(done, deleting=yes), indent=1))
    else:
        _echo(done, deleting=yes)


def _document(done: Sweep, *, deleting: bool) -> dict[str, Any]:
    removed = set(done.removed)
    return {
        "deleting": deleting,
        "garbage": [
            {**asdict(entry), "last_used": entry.last_used.isoformat(timespec="seconds"), "removed": entry in removed}
            for entry in done.garbage
        ],
        "totals": _totals(done.garbage),
        "notes": done.notes,
    }


def _totals(garbage: list[Garbage]) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = defaultdict(lambda: {"entries": 0, "files": 0, "size_bytes": 0})
    for entry in garbage:
        for name, amount in (("entries", 1), ("files", entry.files), ("size_bytes", entry.size_bytes)):
            totals[entry.kind][name] += amount
    return dict(totals)


def _echo(done: Sweep, *, deleting: bool) -> None:
    kinds: dict[str, list[Garbage]] = defaultdict(list)
    for entry in done.garbage:
        kinds[entry.kind].append(entry)
    for kind, entries in kinds.items():
        total = _size(sum(entry.size_bytes for entry in entries))
        click.echo(f"{kind}: {len(entries)}, {sum(entry.files for entry in entries)} files, {total}")
        for entry in entries[:SHOWN_ENTRIES]:
            click.echo(f"  {_size(entry.size_bytes):>9}  {_age(entry):>6}  {entry.what}\n{'':21}{entry.reason}")
        if len(entries) > SHOWN_ENTRIES:
            click.echo(f"  and {len(entries) - SHOWN_ENTRIES} more (--json lists all)")
    for note in done.notes:
        click.echo(f"note: {note}")
    amount = f"{_size(sum(entry.size_bytes for entry in done.garbage))} in {len(done.garbage)} entries"
    if not done.garbage:
        click.echo("nothing to remove")
        return
    if not deleting:
        click.echo(f"{amount}; nothing was removed: add --yes to remove them")
        return
    freed = _size(sum(entry.size_bytes for entry in done.removed))
    stayed = len(done.garbage) - len(done.removed)
    click.echo(
        f"{freed} in {len(done.removed)} entries removed" + (f"; {stayed} are in use and were kept" * bool(stayed))
    )


def _size(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


def _age(entry: Garbage) -> str:
    hours = (datetime.now(UTC) - entry.last_used) / timedelta(hours=1)
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"
