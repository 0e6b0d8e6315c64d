"""``sightline data remove``: withdraw a dataset version."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sightline.config.settings import embedded_or_own
from sightline.data.tags import DatasetTag

if TYPE_CHECKING:
    from sightline.data.repository.removal import Removable


@click.command("remove")
@click.argument("tag")
@click.option(
    "--repository", metavar="URL_OR_PATH", help="Data repository; default: data.repository in the settings file."
)
@click.option("--yes", is_flag=True, help="Remove it; without this, show what would be removed.")
@click.option("--reason", default="", metavar="TEXT", help="Reason, shown to users who look for the version later.")
@click.option(
    "--database", metavar="URL", help="Database to check for models and results made from it; default: database.url."
)
@click.option("--bucket", metavar="URI", help="Result bucket to check for results made from it; default: storage.uri.")
@click.option(
    "--unchecked", is_flag=True, help="Skip the check of database and bucket; only if nothing was made from it."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    tag: str,
    repository: str | None,
    yes: bool,
    reason: str,
    database: str | None,
    bucket: str | None,
    unchecked: bool,
    as_json: bool,
) -> None:
    """Remove the version TAG, unless a model was trained on it.

    The name of an annotation version stays reserved: adding the same folder again restores it; other contents need a
    new version. A training set can be recorded again with other settings. Commits and files on the DVC remote are kept.
    """
    from sightline.registry.removal import Removal

    if unchecked and (database or bucket):
        raise click.UsageError("--unchecked cannot be combined with --database or --bucket")
    version = DatasetTag.parse(tag)
    source = repository or embedded_or_own("data", "repository")
    url = "" if unchecked else database or embedded_or_own("database", "url")
    uri = "" if unchecked else bucket or embedded_or_own("storage", "uri")
    removal = Removal(source, version, url, uri)
    found = removal.remove(reason) if yes else removal.look()
    if as_json:
        click.echo(
            json.dumps({"removed": yes or found.done, "before": found.done, **asdict(found.tombstone)}, indent=1)
        )
        return
    later = removal.later()
    if later:
        click.echo(f"its splits stay in {', '.join(later)}; if they are wrong, remove those too")
    if yes or found.done:
        _echo_removed(version, found)
    else:
        _echo_plan(found, removal.origin)


def _echo_plan(found: Removable, origin: str) -> None:
    from sightline.data.git.commands import redact

    context = click.get_current_context()
    given = [f"--{name}" for name in ("unchecked",) if context.params[name]]
    for name in ("repository", "reason", "database", "bucket"):
        given += [f"--{name}", context.params[name]] if context.params[name] else []
    stone = found.tombstone
    again = shlex.join(["sightline", "data", "remove", stone.tag, *given, "--yes"])
    click.echo(f"would remove {stone.tag} (commit {stone.commit[:12]}, {stone.files} files) from {redact(origin)}")
    click.echo(f"nothing was removed; to remove it: {again}")


def _echo_removed(version: DatasetTag, found: Removable) -> None:
    click.echo(f"{found.tombstone}" + (" before; nothing else changed" if found.done else ""))
    if version.kind == "train":
        click.echo(
            f"record it again: python pipeline.py run --local --steps record --set data.tag={version.annotations}"
        )
        return
    name = f"--dataset {version.dataset} --version"
    click.echo(f"the same folder restores it:     sightline data add FOLDER {name} {version.version}")
    click.echo(f"corrected data is a new version: sightline data add FOLDER {name} NEW")
