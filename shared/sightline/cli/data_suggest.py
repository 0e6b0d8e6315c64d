"""``sightline data suggest``: label errors of a version, or labels of new images, as labelme files."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from sightline.cli.score_option import ScoreType
from sightline.config.settings import embedded_or_own
from sightline.data.tags import DatasetTag
from sightline.plural import counted

MAX_PIXELS = 50_000_000
"""The default of ``data.max_pixels``."""

_SHOWN_FILES = 10


@click.command("suggest")
@click.argument("model", metavar="MODEL")
@click.argument("tag", metavar="TAG")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="New folder.")
@click.option(
    "--split",
    type=click.Choice(["all", "train", "val", "test"]),
    default="all",
    show_default=True,
    help="Images to check; a single split needs a training tag.",
)
@click.option(
    "--min-score",
    type=ScoreType(),
    help="Minimum score of a suggestion.  [default: none; with --images that of its class in the model file, else 0.5]",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Maximum number of suggestions.")
@click.option("--images", metavar="FOLDER_OR_URI", default="", help="Suggest labels for these images without labels.")
@click.option(
    "--select", type=click.IntRange(min=1), metavar="N", help="Only the N of --images that are most worth labeling."
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto uses a GPU if there is one.",
)
@click.option(
    "--repository", metavar="URL_OR_PATH", help="Data repository; default: data.repository in the settings file."
)
def command(
    *,
    model: str,
    tag: str,
    output: Path,
    split: str,
    min_score: float | None,
    limit: int | None,
    images: str,
    select: int | None,
    device: str,
    repository: str | None,
) -> None:
    """Write labels of TAG that MODEL contradicts to a new folder of labelme files, for a person to decide.

    MODEL is the path or URI of a model file, its SHA-256 (the first six digits are enough), or champion:DATASET
    (champion:DATASET/METRIC if the dataset has several champions). TAG is an annotation or training tag.

    A suggested object is a shape with a question mark, such as "dog?": rename it to "dog" to accept it, or delete it
    to reject it. "delete?" marks an object to delete. A suggested label of the image is a flag "dog?" to tick. The
    flags "accept suggestions" and "reject suggestions" decide on all others of an image. What is saved without a
    decision changes nothing. Then add the folder: sightline data add FOLDER --dataset NAME --version V takes all other
    images from TAG, and reports what was accepted, changed and rejected.

    With --images, labels for these images are suggested instead, and decided images are added to those of TAG.
    """
    if select is not None and not images:
        raise click.UsageError("--select is for --images; add that, or leave --select out")
    version = DatasetTag.parse(tag)

    from sightline.data.workspace import Workspace
    from sightline.prediction.suggestions import Request, suggest

    workspace = Workspace(repository or embedded_or_own("data", "repository"), Path(embedded_or_own("work", "dir")))
    request = Request(model, version, split, min_score, limit, images, select, device, MAX_PIXELS)
    made = suggest(request, output, workspace)
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(made.kinds.items()))
    total = counted(sum(made.kinds.values()), "suggestion")
    click.echo(f"{output}: {total} in {counted(len(made.files), 'file')}{f' ({kinds})' if kinds else ''}")
    for name in made.files[:_SHOWN_FILES]:
        click.echo(f"  {name}")
    if (more := len(made.files) - _SHOWN_FILES) > 0:
        click.echo(f"  and {more} more")
    click.echo(f"checked: {counted(made.checked, 'image')}")
    for note in made.notes:
        click.echo(f"note: {note}")
    if made.converted:
        click.echo(f"note: {version.annotations} is not in labelme's format; the folder has all of its images")
    if made.files:
        click.echo(f"next: labelme {shlex.quote(str(output))}")
        add = f"sightline data add {shlex.quote(str(output))} --dataset {version.dataset} --version V"
        click.echo(f"then: {add}")
