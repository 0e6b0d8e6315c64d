"""``sightline data``: data repositories and dataset versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import yaml

from sightline.cli import data_preview, data_remove, data_suggest
from sightline.config.settings import embedded_or_own, read_settings, settings_path
from sightline.data.folder_files import ANNOTATION_SUFFIXES, suffix_of
from sightline.data.tags import DatasetTag, dataset_tags
from sightline.errors import ConfigurationError
from sightline.plural import counted
from sightline.url_secrets import redact

if TYPE_CHECKING:
    from sightline.database import VersionRow

TIMEOUT_SECONDS = 3600.0
SHOWN_NAMES = 10

Command = TypeVar("Command", bound=Callable[..., None])

repository_option = click.option(
    "--repository", metavar="URL_OR_PATH", help="Data repository; default: data.repository in the settings file."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Manage data repositories and dataset versions."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--remote", required=True, metavar="URI", help="Where DVC stores the files: a path or gs://bucket/prefix."
)
def init(path: Path, remote: str) -> None:
    """Create a data repository at PATH, and make it the default.

    PATH is an empty or new folder, or the root of a Git repository; DVC and its two remotes are then added to it in one
    commit.
    """
    from sightline.data.repository.creation import init_repository

    path = path.expanduser().absolute()
    there = (path / ".git").exists()
    made = init_repository(path, remote)
    how = "added Sightline's remotes to its .dvc/config" if there else "created the data repository"
    click.echo(f"{path}: {how}" if made else f"{path} is already a data repository with this remote; nothing changed")
    before = _make_default(path)
    if before is not None:
        click.echo(f"{settings_path()}: data.repository is now {path}" + (f"; it was {before}" if before else ""))
    if made:
        click.echo("next: sightline data add FOLDER --dataset NAME --version v1")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, metavar="NAME", help="Name of the dataset, such as plates.")
@click.option("--version", required=True, metavar="V", help="Version, such as v1.")
@click.option("--allow-faults", is_flag=True, help="Add annotations with faults that would stop record.")
@repository_option
def add(folder: Path, dataset: str, version: str, repository: str | None, *, allow_faults: bool) -> None:
    """Add FOLDER (annotations and images) as a version of a dataset.

    The version contains all files of FOLDER except hidden files, temporary files (*.tmp, *.part, *.swp, *.bak, *~) and
    system files (Thumbs.db, __MACOSX); the files left out are listed. A link to a file of FOLDER is stored as that
    file. Links to folders or out of FOLDER, files of Git and DVC, and names that are not portable between systems are
    refused, as are annotations that record could not use (see sightline check).

    In a clone, the commit is added on top of the branch of the origin, and pushed with its tag.

    Of a folder from sightline data suggest, the decisions are carried out, reported and kept with the version, and all
    other images are taken from the version that the suggestions are for.
    """
    from sightline.cli.data_added import added_lines
    from sightline.cli.data_reviewed import reviewed
    from sightline.data.git.references import require_local
    from sightline.data.repository.creation import add_annotations

    tag = DatasetTag(dataset, "ann", version)
    source = require_local(repository or _default_repository())
    with reviewed(folder, tag, source) as result:
        added = add_annotations(
            source,
            result.folder,
            tag,
            timeout_seconds=TIMEOUT_SECONDS,
            allow_faults=allow_faults,
            details=result.details,
        )
    click.echo("\n".join([*result.lines, *added_lines(added, source)]))


command.add_command(data_preview.command)
command.add_command(data_remove.command)
command.add_command(data_suggest.command)


@command.command("list")
@repository_option
@click.option("--all", "with_removed", is_flag=True, help="Show removed versions too.")
@json_option
def list_command(repository: str | None, *, with_removed: bool, as_json: bool) -> None:
    """List the dataset versions of a data repository, with their state in the database."""
    from sightline.data.git.clones import clone_hint
    from sightline.data.repository.history import list_tags

    source = repository or _default_repository()
    commits = list_tags(source, TIMEOUT_SECONDS)
    known = _registered()
    rows = [
        {"tag": str(tag), "dataset": tag.dataset, "version": tag.version, "kind": tag.room, "commit": commits[str(tag)]}
        | {"removed": None, "images": None, "registered": None}
        | _facts(known.get(str(tag)), commits[str(tag)])
        for tag in dataset_tags(commits)
    ]
    if with_removed:
        rows += _removed(source)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    hint = clone_hint(source, TIMEOUT_SECONDS)
    if not rows:
        click.echo(
            f"{source} has no dataset versions yet; "
            + (hint or "add one with: sightline data add FOLDER --dataset NAME --version V")
        )
    for row in rows:
        if row["removed"]:
            click.echo(row["removed"]["text"])
            continue
        click.echo(f"{row['tag']:<32} {row['commit'][:12]}  {_facts_text(row, known.get(row['tag']))}")


@command.command()
@click.argument("tag")
@repository_option
@json_option
def show(tag: str, repository: str | None, as_json: bool) -> None:
    """Show the contents of a dataset version."""
    from sightline.data.repository.history import open_history

    version = DatasetTag.parse(tag)
    with open_history(repository or _default_repository(), [version], TIMEOUT_SECONDS) as history:
        tracked = history.tracked(version)
        facts: dict[str, Any] = {
            "tag": tag,
            "commit": history.commit(version),
            "digest": tracked.md5.removesuffix(".dir"),
            "files": tracked.files,
            "size_bytes": tracked.size_bytes,
        }
        if (review := history.review(version)) is not None:
            facts["suggestions"] = {"for": review.base, "model": review.model, "decisions": review.text}
        if version.kind == "ann":
            names = history.manifest(version)
            facts["annotation_files"] = sum(suffix_of(name) in ANNOTATION_SUFFIXES for name in names)
        else:
            facts |= _training_facts(history.read(version, "dataset.json"), tag)
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    else:
        click.echo(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), nl=False)


@command.command()
@click.argument("before")
@click.argument("after")
@click.option("--html", "page", metavar="FILE", type=click.Path(path_type=Path), help="Write a page with the images.")
@repository_option
@json_option
def diff(before: str, after: str, repository: str | None, as_json: bool, page: Path | None) -> None:
    """Show what changed from version BEFORE to version AFTER.

    The page of --html opens offline, such as in a merge request: it shows changed images side by side with the outlines
    before and after.
    """
    from sightline.data.recording.difference import compare
    from sightline.data.repository.history import open_history

    tags = [DatasetTag.parse(before), DatasetTag.parse(after)]
    with open_history(repository or _default_repository(), list(dict.fromkeys(tags)), TIMEOUT_SECONDS) as history:
        difference = compare(history, *tags)
    if page is not None:
        from sightline.cli.data_difference import write_difference

        images = write_difference(page, tags[0], tags[1], repository or _default_repository())
        click.echo(f"{page}: {counted(images, 'changed image')}", err=as_json)
    if as_json:
        click.echo(json.dumps(asdict(difference), indent=1))
        return
    _echo_names("added", difference.added)
    _echo_names("removed", difference.removed)
    _echo_names("relabeled", difference.relabelled)
    _echo_names("replaced", difference.replaced)
    _echo_names("moved", [f"{name} ({move})" for name, move in difference.moved.items()])
    if difference.reboxed:
        click.echo(
            f"note: {counted(len(difference.reboxed), 'other image')} with the same labels in both versions, recorded "
            "by releases of Sightline that compute boxes by different rules"
        )


def _echo_names(what: str, names: list[str]) -> None:
    click.echo(f"{what}: {len(names)}")
    for name in names[:SHOWN_NAMES]:
        click.echo(f"  {name}")
    if len(names) > SHOWN_NAMES:
        click.echo(f"  and {len(names) - SHOWN_NAMES} more (--json lists all)")


def _training_facts(data: bytes, tag: str) -> dict[str, Any]:
    from sightline.data.recording.training_set import from_bytes

    found = from_bytes(data, f"dataset.json of {tag}")
    return {
        "annotation_tag": found.annotation_tag,
        "annotation_commit": found.annotation_commit,
        "images": found.images_per_split,
        "instances": found.instances,
        "dropped": found.dropped,
        "warnings": found.warnings,
    }


def _facts(known: VersionRow | None, commit: str) -> dict[str, Any]:
    """The database's facts about a version; empty if its row with that tag has another commit."""
    if known is None or known.record.commit != commit:
        return {}
    return {"images": known.images, "registered": known.created_at.isoformat(timespec="seconds")}


def _facts_text(row: dict[str, Any], known: VersionRow | None) -> str:
    from sightline.report.wording import moment_text

    if known is None:
        return "not recorded"
    if row["registered"] is None:
        return f"not recorded; the database has another repository's {row['tag']}, commit {known.record.commit[:12]}"
    return f"{counted(known.images, 'image')}, recorded {moment_text(known.created_at)} UTC"


def _registered() -> dict[str, VersionRow]:
    """The versions in the database by tag; empty if there is no database."""
    from sightline.database import open_database
    from sightline.errors import DatabaseError

    url = embedded_or_own("database", "url")
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        return {}
    try:
        database = open_database(url, create=False)
    except DatabaseError as error:
        click.echo(f"the database cannot be read: {error}", err=True)
        return {}
    with closing(database):
        return {row.record.tag: row for row in database.versions()}


def _removed(source: str) -> list[dict[str, Any]]:
    """Rows for removed versions; they have the key ``removed``."""
    from sightline.data.repository.tombstones import read_tombstones

    rows = []
    for stone in read_tombstones(source, TIMEOUT_SECONDS):
        tag = DatasetTag.parse(stone.tag)
        row: dict[str, Any] = {"tag": stone.tag, "dataset": tag.dataset, "version": tag.version, "kind": tag.room}
        removed = {"by": stone.by, "at": stone.at, "why": stone.why, "text": str(stone)}
        rows.append(row | {"commit": stone.commit, "images": None, "registered": None, "removed": removed})
    return rows


def _default_repository() -> str:
    return embedded_or_own("data", "repository")


def _make_default(path: Path) -> str | None:
    """Write ``data.repository`` to the settings file; returns the old value (maybe empty), None if it is unchanged."""
    from sightline.files import write_atomically

    settings, document = settings_path(), read_settings()
    if not isinstance(document.setdefault("data", {}), dict):
        raise ConfigurationError(f"{settings} must contain sections such as data:; fix or remove it")
    before = document["data"].get("repository")
    if before == str(path):
        return None
    document["data"]["repository"] = str(path)
    write_atomically(settings, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return redact(str(before)) if before else ""
