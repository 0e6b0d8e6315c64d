"""``sightline lineage``: the inputs from which an object was made, and the objects made from it."""

from __future__ import annotations

import json
import logging
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sightline.cli.database_option import database_options
from sightline.config.settings import embedded_or_own
from sightline.database import Database, Lineage, Named, open_database
from sightline.errors import SightlineError, UnknownNameError
from sightline.files import file_sha256
from sightline.own_file import require_own_page
from sightline.url_secrets import redact

if TYPE_CHECKING:
    from sightline.data.suggestions.kept import ReviewSummary

TIMEOUT_SECONDS = 60.0

_log = logging.getLogger(__name__)


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
        require_own_page(html)
    with closing(open_database(url, create=False)) as database:
        lineage = database.lineage(_asked(database, name))
    if html is not None:
        from sightline.report.lineage.page import write_lineage_page

        write_lineage_page(html, lineage)
        click.echo(f"wrote {html}", err=as_json)
    if as_json:
        from sightline.report.lineage.document import lineage_document

        click.echo(json.dumps(lineage_document(lineage, _reviews(lineage)), indent=1, ensure_ascii=False))
    elif html is None:
        from sightline.report.lineage.text import lineage_text
        from sightline.report.terminal import show, terminal

        show(lineage_text(lineage, terminal().width, _reviews(lineage)))


def _reviews(lineage: Lineage) -> dict[str, ReviewSummary]:
    """Annotation tag -> what people made of the suggestions that led to it, from the commits of the data repository.

    The database of a team may know versions of a data repository that this machine does not reach; its lineage is shown
    without them.
    """
    from sightline.data.git.references import read_references
    from sightline.data.tags import DatasetTag

    commits = {version.row.record.tag: version.row.record.commit for version in lineage.annotations}
    if not commits:
        return {}
    repository = embedded_or_own("data", "repository")
    try:
        there = read_references(repository, TIMEOUT_SECONDS).tags
        tags = [DatasetTag.parse(tag) for tag, commit in commits.items() if there.get(tag) == commit]
        if not tags:
            return {}
        from sightline.data.repository.history import open_history

        with open_history(repository, tags, TIMEOUT_SECONDS) as history:
            found = {str(tag): history.review(tag) for tag in tags}
    except SightlineError as error:
        _log.debug("the data repository %s cannot be read: %s", redact(repository), error)
        return {}
    return {tag: review for tag, review in found.items() if review is not None}


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
