"""``publish-code``: publish the code of this checkout for pods."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sightline.config.settings import embedded_or_own

if TYPE_CHECKING:
    from sightline.code import Published


@click.command("publish-code")
@click.option(
    "--volume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="PATH",
    help="Publish to the code volume itself, where it is mounted, as in a notebook.",
)
@click.option("--bucket", metavar="URI", help="Publish to this bucket; default: storage.uri in the settings file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, volume: Path | None, bucket: str | None, as_json: bool) -> None:
    """Publish the code of this checkout (shared/sightline).

    Runs with code_rev=current use it from now on.
    """
    if volume and bucket:
        raise click.UsageError("--volume and --bucket cannot be combined")
    from sightline.code import make_snapshot, publish_to_bucket, publish_to_volume
    from sightline.storage import open_storage

    began = time.perf_counter()
    snapshot = make_snapshot()
    if volume:
        published = publish_to_volume(snapshot, volume.absolute())
    else:
        published = publish_to_bucket(snapshot, open_storage(bucket or embedded_or_own("storage", "uri")))
    seconds = round(time.perf_counter() - began, 3)
    note = _note_on_volume(snapshot.revision) if volume else _note_on_bucket(published.place)
    if as_json:
        click.echo(json.dumps(_document(published, seconds, note), indent=1))
    else:
        _echo(published, seconds, note)


def _note_on_bucket(uri: str) -> str:
    """A note for those who publish to a folder: only some pods can see it."""
    if not uri.startswith("file:"):
        return ""
    return (
        "only pods that mount this folder can see it; on a laptop, publish to the bucket of the cluster (--bucket "
        "gs://..., or storage.uri in the settings file); in a notebook, to the code volume (--volume /code)"
    )


def _note_on_volume(revision: str) -> str:
    """A note for those who publish to a volume: the pointer of the result bucket takes precedence over CURRENT."""
    from sightline.code.bucket import read_pointer
    from sightline.storage import open_storage

    storage = open_storage(embedded_or_own("storage", "uri"))
    pointer, _ = read_pointer(storage)
    if pointer is None or pointer.revision == revision:
        return ""
    return (
        f"code_rev=current still means {pointer.revision[:12]}, because {storage.uri} says so; "
        f"run with code_rev={revision[:12]}, or publish to the bucket"
    )


def _document(published: Published, seconds: float, note: str) -> dict[str, object]:
    manifest = asdict(published.manifest)
    return {
        **manifest,
        "files": len(published.manifest.files),
        "place": published.place,
        "unchanged": not (published.new or published.moved),
        "seconds": seconds,
        "note": note,
    }


def _echo(published: Published, seconds: float, note: str) -> None:
    manifest = published.manifest
    commit = f"commit {manifest.commit[:12]}" if manifest.commit else "no git commit"
    facts = f"{len(manifest.files)} files, {commit}{' with changes' * bool(manifest.dirty)}, {seconds:.2f} s"
    if published.new:
        done = "published"
    elif published.moved:
        done = "is current again; it had been published before"
    else:
        done = "is already published and current; nothing was written"
    click.echo(f"{manifest.revision} {done}\n{published.place}: {facts}")
    if note:
        click.echo(f"note: {note}")
