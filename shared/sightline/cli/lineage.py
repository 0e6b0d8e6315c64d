"""``sightline lineage``: what something was made from, and what was made from it."""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import closing
from pathlib import Path

import click

from sightline.cli.database_option import database_options
from sightline.database import Database, Named, open_database
from sightline.errors import UnknownNameError
from sightline.own_file import require_own


@click.command("lineage")
@click.argument("name", metavar="MODEL|TAG|RUN")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the full configuration of every run.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with the drawn graph.")
@database_options
def command(*, url: str, name: str, as_json: bool, html: Path | None) -> None:
    """What MODEL, TAG or RUN was made from, and what was made from it.

    MODEL is a SHA-256 or six digits of its beginning, or the path or URI of a model file; TAG an annotation or training
    tag; RUN a run's id or its beginning.
    """
    if html is not None:
        require_own(html, (b"<!doctype html", b"default-src 'none'; img-src data:"), "a page of Sightline", "--html")
    with closing(open_database(url, create=False)) as database:
        lineage = database.lineage(_asked(database, name))
    if html is not None:
        from sightline.report.lineage_page import write_lineage_page

        write_lineage_page(html, lineage)
        click.echo(f"wrote {html}", err=as_json)
    if as_json:
        from sightline.report.lineage_document import lineage_document

        click.echo(json.dumps(lineage_document(lineage), indent=1, ensure_ascii=False))
    elif html is None:
        from sightline.report.lineage_text import lineage_text
        from sightline.report.terminal import show, terminal

        show(lineage_text(lineage, terminal().width))


def _asked(database: Database, name: str) -> Named:
    """What ``name`` means; a file is known by its contents, wherever it lies."""
    try:
        return database.named(name)
    except UnknownNameError:
        if "://" not in name and not Path(name).is_file():
            raise
    with tempfile.TemporaryDirectory() as folder:
        sha256 = _sha256(name, Path(folder))
    try:
        return database.named(sha256, ["model"])
    except UnknownNameError as error:
        raise UnknownNameError(
            f"{name} (sha256 {sha256}) is no model that {database} knows; "
            "`sightline model show` tells what it says itself"
        ) from error


def _sha256(model: str, folder: Path) -> str:
    from sightline.storage.uris import fetch

    path = fetch(model, folder) if "://" in model else Path(model)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
