"""``sightline dataset sync``: a COCO file with only the images present."""

from __future__ import annotations

from pathlib import Path

import click

from sightline.cli.dataset.options import done, dry_run_option
from sightline.plural import counted

_SHOWN = 10


@click.command("sync")
@click.argument("coco", metavar="COCO.json", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGES", type=click.Path(path_type=Path))
@click.argument("out", metavar="[OUT.json]", required=False, type=click.Path(path_type=Path))
@dry_run_option
def command(coco: Path, images: Path, out: Path | None, *, dry_run: bool) -> None:
    """Write COCO.json without the images that the folder IMAGES lacks, to OUT.json (default: COCO.synced.json)."""
    from sightline.data.tools.sync import sync

    out = out or coco.with_suffix(".synced.json")
    result = sync(coco, images, out, dry_run=dry_run)
    lost = counted(result.removed_annotations, "annotation")
    _show(f"removed, because the image is not present ({lost})", result.removed)
    _show("in the folder, but not in the COCO file", result.unlisted)
    kept = f"{counted(result.images, 'image')} and {counted(result.annotations, 'annotation')}"
    click.echo(done(f"{kept} to {out}", dry_run=dry_run))


def _show(title: str, names: tuple[str, ...]) -> None:
    if not names:
        return
    click.echo(f"{title}: {len(names):,}")
    for name in names[:_SHOWN]:
        click.echo(f"  {name}")
    if len(names) > _SHOWN:
        click.echo(f"  and {len(names) - _SHOWN:,} more")
