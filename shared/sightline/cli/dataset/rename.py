"""``sightline dataset rename``: new file names, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sightline.cli.dataset.options import done, dry_run_option
from sightline.plural import counted

if TYPE_CHECKING:
    from sightline.data.tools.rename import Naming

_SHOWN = 5


@click.command("rename")
@click.argument("source", metavar="[SRC]", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", required=False, type=click.Path(path_type=Path))
@click.option("--by", type=click.Choice(["uuid", "hash"]), help="Random names, or the SHA-256 of each image.")
@click.option("--back", metavar="MAPPING", type=click.Path(path_type=Path), help="Mapping file of a renamed folder.")
@dry_run_option
def command(source: Path, out: Path | None, by: Naming | None, back: Path | None, *, dry_run: bool) -> None:
    """Copy SRC to the new folder OUT with new file names; or, with --back MAPPING OUT, under the original names.

    SRC contains class folders or labelme files. OUT.mapping.csv lists the new name, the old name and the SHA-256 of
    every file.
    """
    from sightline.data.tools.rename import mapping_of, rename, rename_back

    if back is not None:
        if out is not None or by is not None:
            raise click.UsageError("--back needs only OUT: sightline dataset rename --back FOLDER.mapping.csv OUT")
        restored = rename_back(back, source, dry_run=dry_run)
        for name in restored.changed[:_SHOWN]:
            click.echo(f"  {name}: differs from the original file, because it was changed after renaming")
        if len(restored.changed) > _SHOWN:
            click.echo(f"  and {len(restored.changed) - _SHOWN:,} more")
        click.echo(done(f"{counted(len(restored.files), 'file')} to {source}", dry_run=dry_run))
        return
    if out is None or by is None:
        raise click.UsageError("give SRC, OUT and --by uuid or --by hash; or --back MAPPING and OUT")
    renamed = rename(source, out, by, dry_run=dry_run)
    for row in renamed[:_SHOWN]:
        click.echo(f"  {row.old} -> {row.new}")
    if len(renamed) > _SHOWN:
        click.echo(f"  and {len(renamed) - _SHOWN:,} more")
    click.echo(done(f"{counted(len(renamed), 'file')} to {out}, and {mapping_of(out)}", dry_run=dry_run))
