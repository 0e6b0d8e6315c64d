"""The page of ``sightline dataset explore``: the statistics of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.tools.explore import Exploration, Histogram, Matrix
from sightline.plural import counted
from sightline.report.charts import Chart, bar_chart
from sightline.report.page import write_page

_SHOWN_CLASSES = 60
_SHOWN_SIZES = 10
_MATRIX = 24
_SHOWN_NAMES = 6


@dataclass(frozen=True, slots=True)
class _Heat:
    """A matrix as shown: rows of cells with number and share of the largest number, 0 to 1."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[tuple[int, float]]]]
    left_out: int


def write_dataset_page(path: Path, found: Exploration) -> None:
    """Write the page as one HTML file that opens offline; parent folders are created.

    Args:
        path: The HTML file; replaced as a whole.
        found: The statistics.
    """
    classes = sorted(found.classes, key=lambda one: -(one.objects or one.images))
    write_page(
        path,
        "dataset_page.html",
        found=found,
        classes=classes[:_SHOWN_CLASSES],
        other_classes=len(classes[_SHOWN_CLASSES:]),
        most=max((one.objects or one.images for one in classes), default=0) or 1,
        warnings=_warnings(found),
        sizes=found.sizes[:_SHOWN_SIZES],
        other_sizes=len(found.sizes[_SHOWN_SIZES:]),
        other_images=sum(number for _, _, number in found.sizes[_SHOWN_SIZES:]),
        charts=list(_charts(found)),
        positions=found.positions,
        most_covered=max((share for row in found.positions for share in row), default=0.0),
        co_occurrence=_heat(found.co_occurrence, found) if found.co_occurrence else None,
        label_sets=[_heat(matrix, found) for matrix in found.label_sets],
        shown_names=_SHOWN_NAMES,
    )


def _charts(found: Exploration) -> Sequence[Chart]:
    charts = [
        _histogram("image-aspects", "Aspect ratios of images", found.image_aspects, "width / height", "images"),
        _histogram(
            "brightness", "Brightness of images", found.brightness, "mean gray value (0 black, 255 white)", "images"
        ),
    ]
    if found.objects:
        last = len(found.objects_per_image) - 1
        step = 1 if last <= 12 else 2
        names = [f"{n}+" if n == last == 20 else str(n) if n % step == 0 else "" for n in range(last + 1)]
        charts += [
            _histogram("object-aspects", "Aspect ratios of objects", found.object_aspects, "width / height", "objects"),
            bar_chart(
                "per-image", "Objects in an image", list(zip(names, found.objects_per_image, strict=True)),
                x_label="objects", y_label="images",
            ),
        ]  # fmt: skip
    return charts


def _histogram(key: str, title: str, values: Histogram, x_label: str, y_label: str) -> Chart:
    return bar_chart(key, title, list(zip(_bins(values), values.counts, strict=True)), x_label=x_label, y_label=y_label)


def _bins(values: Histogram) -> list[str]:
    """The lower edge of every bin; of many bins, every second one only."""
    step = 2 if len(values.counts) > 12 else 1
    return [f"{edge:g}" if index % step == 0 else "" for index, edge in enumerate(values.edges[:-1])]


def _warnings(found: Exploration) -> list[str]:
    texts = [
        f"{counted(number, 'fault')}: {kind.replace('_', ' ')}; list them with sightline check {found.source}"
        for kind, number in found.faults.items()
    ]
    counts = [one.objects or one.images for one in found.classes]
    if missing := [one.name for one in found.classes if not (one.objects or one.images)]:
        texts.append(f"classes that do not occur: {', '.join(missing[:_SHOWN_NAMES])}")
    elif len(counts) > 1 and max(counts) >= 20 * min(counts):
        texts.append(f"the most frequent class occurs {max(counts) / min(counts):.0f} times as often as the rarest")
    if found.identical:
        copies = sum(len(names) - 1 for names in found.identical)
        texts.append(f"{counted(copies, 'image')} identical to another, byte for byte")
    return texts


def _heat(matrix: Matrix, found: Exploration) -> _Heat:
    """The most frequent classes of a matrix; the diagonal does not set the scale of co-occurrence."""
    frequency = {one.name: one.images for one in found.classes}
    same = matrix.rows == matrix.columns
    rows = _frequent(matrix.rows, frequency)
    columns = _frequent(matrix.columns, frequency)
    cells = [[matrix.counts[row][column] for column in columns] for row in rows]
    most = max(
        (n for row, line in zip(rows, cells, strict=True) for column, n in zip(columns, line, strict=True)
         if not (same and row == column)),
        default=0,
    )  # fmt: skip
    return _Heat(
        matrix.title,
        [_plain(matrix.columns[column]) for column in columns],
        [
            (_plain(matrix.rows[row]), [(n, round(min(n / most, 1.0) if most else 0.0, 3)) for n in line])
            for row, line in zip(rows, cells, strict=True)
        ],
        max(len(matrix.rows) - len(rows), len(matrix.columns) - len(columns)),
    )


def _frequent(names: Sequence[str], frequency: dict[str, int]) -> list[int]:
    chosen = sorted(range(len(names)), key=lambda index: -frequency[names[index]])[:_MATRIX]
    return sorted(chosen)


def _plain(name: str) -> str:
    return name.rpartition("/")[2] or name
