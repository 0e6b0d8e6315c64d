"""Dataset tools: converters in boxes a second, crops against bare decoding, and the page of a large folder."""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.figures import Figure, show
from sightline.cli.dataset.options import data_of
from sightline.data.images import read_image
from sightline.data.tools.convert import convert
from sightline.data.tools.crop import CropRule, crop_annotated
from sightline.data.tools.explore import explore
from sightline.report.pages.dataset_page import write_dataset_page

IMAGES = 200
BOXES = 500
EXPLORED = 20_000
CROPPED = 100
BOXES_TARGET, EXPLORE_TARGET = 50_000, 60
DATA, _ = data_of(None, ())


def write_yolo(folder: Path, images: int, boxes: int, size: int) -> None:
    """Random images with random boxes."""
    random = np.random.default_rng(1)
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number in range(images):
        pixels = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((size, size))
        pixels.save(folder / "images" / f"{number:05}.jpg", quality=90)
        corners = random.uniform(0.02, 0.4, (boxes, 4)).round(4)
        lines = [f"{n % 5} {0.3 + x:.4f} {0.3 + y:.4f} {w:.4f} {h:.4f}\n" for n, (x, y, w, h) in enumerate(corners)]
        (folder / "labels" / f"{number:05}.txt").write_text("".join(lines))
    (folder / "dataset.yaml").write_text("names: [a, b, c, d, e]\n")


def converters(folder: Path) -> list[Figure]:
    """YOLO to COCO and back, with reading, checking and copying of the images."""
    write_yolo(folder / "yolo", IMAGES, BOXES, 64)
    figures = []
    for source, to in (("yolo", "coco"), ("coco", "back")):
        began = time.perf_counter()
        found = convert(folder / source, folder / to, "coco" if to == "coco" else "yolo", DATA, classes_known=False)
        rate = found.objects / (time.perf_counter() - began)
        figures.append(
            Figure(
                f"convert {source} to {to}, {found.objects:,} boxes",
                f"{rate:,.0f} boxes/s",
                "",
                None,
                f">= {BOXES_TARGET:,} boxes/s",
                rate >= BOXES_TARGET,
            )
        )
    return figures


def crops(folder: Path) -> Figure:
    """Crops of large images against decoding them alone."""
    write_yolo(folder / "large", CROPPED, 3, 1600)
    paths = sorted((folder / "large" / "images").iterdir())
    began = time.perf_counter()
    for path in paths:
        read_image(path, 10**8)
    bare = len(paths) / (time.perf_counter() - began)
    began = time.perf_counter()
    crop_annotated(folder / "large", folder / "crops", CropRule(224, 224, "context", 0.8), DATA, classes_known=False)
    rate = len(paths) / (time.perf_counter() - began)
    return Figure(
        f"crop {CROPPED} images of 1600 x 1600, 3 objects each",
        f"{rate:,.0f} images/s",
        f"decoding in one thread {bare:,.0f}",
        rate / bare,
        ">= 0.5 x decoding",
        rate >= 0.5 * bare,
    )


def exploring(folder: Path) -> list[Figure]:
    """The page of a large folder, and the memory it takes more than a small one."""
    write_yolo(folder / "many", EXPLORED, 3, 96)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    write_dataset_page(folder / "page.html", explore(folder / "many", DATA, classes_known=False))
    seconds = time.perf_counter() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    return [
        Figure(
            f"explore {EXPLORED:,} images",
            f"{seconds:.0f} s",
            "",
            None,
            f"< {EXPLORE_TARGET} s",
            seconds < EXPLORE_TARGET,
        ),
        Figure(f"memory of explore, {EXPLORED:,} images", f"{grown:.0f} MB", "", None, "< 500 MB", grown < 500),
    ]


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*converters(folder), crops(folder), *exploring(folder)]


if __name__ == "__main__":
    show("Dataset tools", measure())
