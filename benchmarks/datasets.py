"""Dataset tools: converters in boxes a second, crops against bare decoding, and the page of a large folder."""

import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.figures import Figure, show
from sightline.cli.dataset.options import data_of
from sightline.data.images import image_facts, read_image
from sightline.data.tools.convert import convert
from sightline.data.tools.crop import CropRule, crop_annotated
from sightline.data.tools.explore import explore
from sightline.data.tools.new_folder import copy_file
from sightline.report.pages.dataset_page import write_dataset_page

IMAGES = 200
BOXES = 500
SPARSE_IMAGES, SPARSE_BOXES = 2_000, 10
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


def converters(folder: Path, images: int, boxes: int) -> list[Figure]:
    """YOLO to COCO and back, all of it, beside what decoding, hashing and copying the images alone takes."""
    write_yolo(folder / "yolo", images, boxes, 64)
    alone = images_alone(folder / "yolo" / "images", folder / "copies")
    figures = []
    for source, to in (("yolo", "coco"), ("coco", "back")):
        began = time.perf_counter()
        found = convert(folder / source, folder / to, "coco" if to == "coco" else "yolo", DATA, classes_known=False)
        seconds = time.perf_counter() - began
        if to == "coco":
            keep_boxes(folder / "coco" / "annotations.json")
        rate = found.objects / seconds
        promised = boxes == BOXES  # with few boxes an image, the images take most of the time
        figures.append(
            Figure(
                f"convert {source} to {to}, {found.objects:,} boxes in {images:,} images",
                f"{rate:,.0f} boxes/s",
                f"{seconds:.2f} s in all; the images alone, in one process, {alone:.2f} s",
                None,
                f">= {BOXES_TARGET:,} boxes/s" if promised else "",
                rate >= BOXES_TARGET if promised else None,
            )
        )
    return figures


def images_alone(source: Path, target: Path) -> float:
    """Seconds to decode, hash and copy the images of a folder, which every conversion does."""
    began = time.perf_counter()
    for path in sorted(source.iterdir()):
        image_facts(path.read_bytes(), 10**8)
        copy_file(path, target / path.name)
    return time.perf_counter() - began


def keep_boxes(path: Path) -> None:
    """Remove the outlines of a COCO file, so that its objects are boxes, as other tools write them."""
    document = json.loads(path.read_bytes())
    for annotation in document["annotations"]:
        del annotation["segmentation"]
    path.write_text(json.dumps(document))


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
        return [
            *converters(folder / "dense", IMAGES, BOXES),
            *converters(folder / "sparse", SPARSE_IMAGES, SPARSE_BOXES),
            crops(folder),
            *exploring(folder),
        ]


if __name__ == "__main__":
    show("Dataset tools", measure())
