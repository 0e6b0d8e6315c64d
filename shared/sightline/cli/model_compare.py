"""``sightline model compare``: two models on the same images."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sightline.cli.score_option import ScoreType
from sightline.data.tags import DatasetTag
from sightline.errors import DataError
from sightline.own_file import require_own, require_own_page

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sightline.evaluation.model_comparison import ComparedValue, ModelComparison

MAX_PIXELS = 50_000_000
"""The default of ``data.max_pixels``."""

Split = Literal["val", "test"]


@click.command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--tag", required=True, metavar="TAG", help="Training tag of the data repository.")
@click.option("--split", type=click.Choice(["val", "test"]), default="test", show_default=True, help="Its images.")
@click.option(
    "--score",
    type=ScoreType(),
    default=0.5,
    show_default=True,
    help="Minimum score of a detection for mistakes in images.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto uses a GPU if there is one.",
)
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with images.")
@click.option("--csv", "table", type=click.Path(path_type=Path, dir_okay=False), help="Write all numbers as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(
    *,
    first: str,
    second: str,
    tag: str,
    split: Split,
    score: float,
    device: str,
    page: Path | None,
    table: Path | None,
    as_json: bool,
) -> None:
    """Compare model B with model A on the same images: metrics, classes, images.

    A and B are paths or URIs of model files, their SHA-256 (the first six digits are enough), or champion:DATASET.
    Differences have 95 % intervals (paired bootstrap over groups of images).  Models with other classes are compared on
    the classes that both and the training set have.
    """
    if page is not None and page == table:
        raise click.UsageError(f"--html and --csv are the same file {page}; give two files")
    if page is not None:
        require_own_page(page)
    if table is not None:
        require_own(table, (b"kind,metric,class,a,b,",), "a table of this command", "--csv")
    with compared((first, second), tag, split, score=score, device=device) as comparison:
        if page is not None:
            from sightline.evaluation.comparison_report import comparison_page
            from sightline.report.pages.comparison_page import write_comparison_page

            write_comparison_page(page, comparison_page(comparison))
        if table is not None:
            from sightline.evaluation.comparison_report import comparison_csv
            from sightline.files import write_atomically

            write_atomically(table, comparison_csv(comparison))
    if as_json:
        click.echo(json.dumps(comparison.document(), indent=1, ensure_ascii=False))
        return
    from sightline.report.terminal import show

    show(_text(comparison))
    for path in (page, table):
        if path is not None:
            click.echo(f"written: {path}")


@contextmanager
def compared(
    models: tuple[str, str], tag: str, split: Split, *, score: float, device: str, names: tuple[str, str] | None = None
) -> Iterator[ModelComparison]:
    """Run two models on a split; its images are on disk while the context is open.

    Args:
        models: The models, as for :func:`sightline.prediction.models.find_model`.
        tag: Training tag.
        split: ``val`` or ``test``.
        score: Minimum score of a detection for mistakes in images.
        device: ``auto``, ``cpu`` or ``cuda``.
        names: Their names for readers; None: as in ``models``.
    """
    from sightline.config.settings import embedded_or_own
    from sightline.data.repository.checkout import checked_out
    from sightline.data.workspace import Workspace
    from sightline.evaluation.inference import read_split
    from sightline.evaluation.model_comparison import compare_models
    from sightline.prediction.models import find_model

    if DatasetTag.parse(tag).kind != "train":
        raise DataError(f"--tag {tag}: expected a training tag, such as {tag.replace('_ann_', '_train_')}")
    workspace = Workspace(embedded_or_own("data", "repository"), Path(embedded_or_own("work", "dir")))
    shown = names or models
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        a, b = find_model(models[0], first), find_model(models[1], second)
        with checked_out(workspace, tag) as source:
            truth = read_split(source, split)
            yield compare_models(
                ((shown[0], a), (shown[1], b)),
                tag,
                split,
                truth,
                source.path,
                score=score,
                max_pixels=MAX_PIXELS,
                device=device,
            )


def _text(comparison: ModelComparison) -> Iterator[RenderableType]:
    """The comparison on a terminal."""
    from rich.text import Text

    from sightline.evaluation.comparison_report import shown_values, verdict
    from sightline.report.terminal import facts, heading

    images = f"{len(comparison.truth['images'])} images of the {comparison.split} split of {comparison.tag}"
    yield facts([("A", comparison.a.name), ("B", comparison.b.name), ("on", images)])
    for note in comparison.notes:
        yield Text(note, style="yellow")
    yield Text(f"\n{verdict(comparison)}", style="bold")
    yield heading("Metrics")
    yield _table("metric", shown_values(comparison))
    if comparison.classes:
        yield heading(f"{comparison.class_metric} by class")
        yield _table("class", comparison.classes)
    counts = comparison.counts
    yield heading("Images")
    yield facts(
        [
            ("only A without a mistake", str(counts["only_a"])),
            ("only B without a mistake", str(counts["only_b"])),
            ("both without a mistake", str(counts["both"])),
            ("both with mistakes", str(counts["neither"])),
        ]
    )


def _table(name: str, values: list[ComparedValue]) -> RenderableType:
    from rich.text import Text

    from sightline.report.terminal import table
    from sightline.report.wording import NOTHING, metric_text

    lines = table(name, "A>", "B>", "B - A>", "95 % interval>", "")
    for one in values:
        change = NOTHING if one.difference is None else f"{one.difference:+.4f}"
        limits = NOTHING if one.low is None or one.high is None else f"{one.low:+.4f} to {one.high:+.4f}"
        style = {"a": "red", "b": "green", "": ""}[one.sure]
        better = f"{one.sure.upper()} is better" if one.sure else ""
        lines.add_row(
            Text(one.name),
            metric_text(one.a, 4),
            metric_text(one.b, 4),
            Text(change, style=style),
            Text(limits, style=style),
            Text(better, style=style),
        )
    return lines
