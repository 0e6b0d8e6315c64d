"""``sightline lineage``: the inputs from which an object was made, and the objects made from it."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from pathlib import Path

import click

from sightline.cli.database_option import database_options
from sightline.config.settings import embedded_or_own
from sightline.database import Database, Named, open_database
from sightline.errors import SightlineError, UnknownNameError
from sightline.files import file_sha256
from sightline.own_file import require_own

TIMEOUT_SECONDS = 60.0


@click.command("lineage")
@click.argument("name", metavar="MODEL|TAG|RUN")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the full configuration of every run.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML page with the graph.")
@database_options
def command(*, url: str, name: str, as_json: bool, html: Path | None) -> None:
    """Show what a MODEL, TAG or RUN was made from, and what was made from it.

    MODEL is the path or URI of a model file, its SHA-256 (the first six digits are enough), or champion:DATASET
    (champion:DATASET/METRIC if the dataset has several champions); TAG is an annotation or training tag; RUN is the
    id of a run, or the beginning of the id.
    """
    if html is not None:
        require_own(html, (b"<!doctype html", b"default-src 'none'; img-src data:"), "a page of Sightline", "--html")
    with closing(open_database(url, create=False)) as database:
        lineage = database.lineage(_asked(database, name))
    if html is not None:
        from sightline.report.lineage.page import write_lineage_page

        write_lineage_page(html, lineage)
        click.echo(f"wrote {html}", err=as_json)
    if as_json:
        from sightline.report.lineage.document import lineage_document

        click.echo(json.dumps(lineage_document(lineage), indent=1, ensure_ascii=False))
    elif html is None:
        from sightline.report.lineage.text import lineage_text
        from sightline.report.terminal import show, terminal

        show(lineage_text(lineage, terminal().width))


def _asked(database: Database, name: str) -> Named:
    """Resolve ``name``; a file is identified by its contents, wherever it is."""
    try:
        return database.named(name)
    except UnknownNameError as error:
        sha256 = _sha256(name)
        if not sha256:
            _explain_unused(name, error)
            raise
    try:
        return database.named(sha256, ["model"])
    except UnknownNameError as error:
        raise UnknownNameError(
            f"{name} (sha256 {sha256}) is not a model in {database}; `sightline model show` prints the metadata of "
            "the file"
        ) from error


def _sha256(name: str) -> str:
    """The SHA-256 of the model at a path or URI, or of ``champion:DATASET``; empty for any other name."""
    path = Path(name).expanduser()
    if not path.is_file() and name.startswith("champion:"):
        from sightline.config.settings import embedded_or_own
        from sightline.registry.named_champion import find_champion
        from sightline.storage import open_storage

        return find_champion(open_storage(embedded_or_own("storage", "uri")), name).sha256
    if not path.is_file() and "://" not in name:
        return ""
    from sightline.storage.uris import fetch

    with tempfile.TemporaryDirectory() as folder:
        return file_sha256(path if path.is_file() else fetch(name, Path(folder)))


def _explain_unused(name: str, error: UnknownNameError) -> None:
    """Raise a more helpful error if ``name`` is a version of the data repository that no run has used."""
    from sightline.data.repository.history import list_tags
    from sightline.data.tags import DatasetTag

    try:
        tag = DatasetTag.parse(name)
        repository = embedded_or_own("data", "repository")
        there = list_tags(repository, TIMEOUT_SECONDS)
    except SightlineError:
        return
    if name in there and str(tag.training) in there:
        raise UnknownNameError(
            f"{name} is a version in the data repository {repository}, but it was recorded with another database: "
            "set database.url to that database"
        ) from error
    if name in there:
        raise UnknownNameError(
            f"{name} is a version in the data repository {repository} that no run has used yet; record it: "
            f"python pipeline.py run --local --steps record --recipe NAME --set data.tag={tag.annotations}"
        ) from error
