"""Resolves a name to a tag, run or model, also by the beginning of an id."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import cast

from sqlalchemy import Column, Connection, select

from sightline.database.lineage_records import Named, NameKind
from sightline.database.queries.versions import removed_commit
from sightline.database.schema.tables import MODELS, RUNS, VERSIONS
from sightline.errors import AmbiguousNameError, UnknownNameError

MIN_DIGITS = 6
"""Minimum number of digits of a model's SHA-256."""

_SHOWN = 10
_SEARCHED = 500
_LAST = "\U0010ffff"


def resolve(connection: Connection, name: str, where: str, kinds: Iterable[NameKind]) -> Named:
    """Resolve a name to a single tag, run or model.

    Args:
        connection: Connection to the database.
        name: A tag, a run's id or its beginning, a model's SHA-256 or six digits of it, or a model's URI.
        where: The database, for the message.
        kinds: The kinds to search for.

    Raises:
        UnknownNameError: There is no such object; the message shows similar names.
        AmbiguousNameError: Several objects match; the message lists them.
    """
    wanted = set(kinds)
    name = name.encode(errors="replace").decode()  # an argument that is no Unicode is the name of nothing
    matches = [found for found in _exact(connection, name) or _beginning(connection, name) if found.kind in wanted]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise AmbiguousNameError(f"{name!r} is ambiguous in {where}: {_listed(matches)}; give more characters")
    if commit := removed_commit(connection, name):
        raise UnknownNameError(
            f"{name} (commit {commit[:12]}) was removed by sightline data remove, and nothing was made from it; "
            "sightline data list --all shows when and why"
        )
    known = [found for found in _known(connection) if found.kind in wanted]
    *others, last = (text for kind, text in _ASKED.items() if kind in wanted)
    what = f"{', '.join(others)} or {last}" if others else last
    if not known:
        raise UnknownNameError(
            f"{where} does not have any {what} yet, so {name!r} was not found; run the pipeline first, "
            "or set database.url"
        )
    if len(name) < MIN_DIGITS and re.fullmatch("[0-9a-fA-F]+", name) and "model" in wanted:
        raise UnknownNameError(f"{where} has no {what} {name!r}; for a model, give at least {MIN_DIGITS} digits")
    near = difflib.get_close_matches(name, [found.name for found in known], n=_SHOWN, cutoff=0.4)
    nearest = [next(found for found in known if found.name == text) for text in near] or known[:_SHOWN]
    said = "most similar:" if near else "it has"
    raise UnknownNameError(f"{where} has no {what} {name!r}; {said} {_listed(nearest)}")


_ASKED: dict[NameKind, str] = {"model": "model", "training": "tag", "run": "run"}


def _exact(connection: Connection, name: str) -> list[Named]:
    tag = select(VERSIONS.c.kind).where(VERSIONS.c.tag == name, VERSIONS.c.state == "published")
    found = [Named(kind, name) for kind in connection.scalars(tag)]
    found += [Named("run", name) for _ in connection.scalars(select(RUNS.c.id).where(RUNS.c.run_id == name))]
    model = select(MODELS.c.sha256)
    found += [Named("model", sha256) for sha256 in connection.scalars(model.where(MODELS.c.sha256 == name.lower()))]
    found += [Named("model", sha256) for sha256 in connection.scalars(model.where(MODELS.c.uri == name))]
    return list(dict.fromkeys(found)) or _unregistered(connection, name)


def _unregistered(connection: Connection, name: str) -> list[Named]:
    """A tag or run that only models and runs refer to: its own row is in another database, or was never written."""
    for kind, column in (
        ("annotations", RUNS.c.dataset_tag),
        ("training", MODELS.c.training_tag),
        ("run", MODELS.c.run_id),
    ):
        if name and connection.scalar(select(column).where(column == name).limit(1)) is not None:
            return [Named(cast(NameKind, kind), name)]
    return []


def _beginning(connection: Connection, name: str) -> list[Named]:
    if not name:
        return []
    found = [Named("run", run_id) for run_id in _from(connection, RUNS.c.run_id, name)]
    if re.fullmatch(rf"[0-9a-fA-F]{{{MIN_DIGITS},64}}", name):
        found += [Named("model", sha256) for sha256 in _from(connection, MODELS.c.sha256, name.lower())]
    return found


def _from(connection: Connection, column: Column[str], beginning: str) -> Iterable[str]:
    """Values with this prefix, at most one more than are shown; a range query, because SQLite's LIKE ignores case."""
    query = select(column).where(column >= beginning, column < beginning + _LAST).order_by(column).limit(_SHOWN + 1)
    return connection.scalars(query)


def _known(connection: Connection) -> list[Named]:
    """All tags, the newest runs and the newest models."""
    tags = select(VERSIONS.c.kind, VERSIONS.c.tag).where(VERSIONS.c.state == "published").order_by(VERSIONS.c.id.desc())
    runs = select(RUNS.c.run_id).order_by(RUNS.c.id.desc()).limit(_SEARCHED)
    models = select(MODELS.c.sha256).order_by(MODELS.c.id.desc()).limit(_SEARCHED)
    return [
        *(Named(kind, tag) for kind, tag in connection.execute(tags)),
        *(Named("run", run_id) for run_id in connection.scalars(runs)),
        *(Named("model", sha256) for sha256 in connection.scalars(models)),
    ]


def _listed(entries: list[Named]) -> str:
    more = " and more" if len(entries) > _SHOWN else ""
    return ", ".join(str(entry) for entry in entries[:_SHOWN]) + more
