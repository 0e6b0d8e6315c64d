"""``sightline dataset explore``: a page with statistics of a dataset."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sightline.cli.dataset.options import data_of, data_options, done, dry_run_option
from sightline.plural import counted


@click.command("explore")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT.html", type=click.Path(path_type=Path))
@click.option("--json", "json_path", metavar="FILE", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
@data_options
@dry_run_option
def command(
    folder: Path,
    out: Path,
    *,
    json_path: Path | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Write a page with the statistics of FOLDER, of any format, to OUT.html, which opens offline.

    It shows the balance of classes, sizes, aspect ratios, positions, brightness, classes in the same image, label sets
    against each other, duplicates, and samples of each class.
    """
    from sightline.data.tools.explore import explore
    from sightline.data.tools.new_folder import require_new
    from sightline.files import write_atomically

    require_new(out)
    if json_path is not None:
        require_new(json_path)
    data, known = data_of(recipe, overrides)
    found = explore(folder, data, classes_known=known)
    if not dry_run:
        from sightline.report.pages.dataset_page import write_dataset_page

        write_dataset_page(out, found)
        if json_path is not None:
            write_atomically(json_path, json.dumps(found.to_json(), ensure_ascii=False, indent=1))
    for kind, number in found.faults.items():
        click.echo(f"  {kind}: {number:,} (list them with sightline check {folder})")
    pages = f"{out}" + (f" and {json_path}" if json_path else "")
    contents = counted(found.images, "image") + (f", {counted(found.objects, 'object')}" if found.objects else "")
    click.echo(done(f"{pages}: {contents} in {counted(len(found.classes), 'class', 'classes')}", dry_run=dry_run))
