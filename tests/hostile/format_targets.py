"""Fuzz targets of the readers of COCO, YOLO and CSV: faults come back as values, instances lie inside their image."""

import io
import tempfile
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path

from PIL import Image

from sightline.config.data import Data
from sightline.config.labels import Keypoints
from sightline.data.annotations import Annotations
from sightline.data.folder_files import list_files
from sightline.data.formats import coco_files, csv_file, yolo
from sightline.data.formats.image_index import ImageIndex
from sightline.data.formats.image_reader import ImageReader
from sightline.data.formats.joining import Found, join_readings
from sightline.data.images import image_facts
from sightline.data.tools.coco_source import read_source
from sightline.data.tools.yolo_source import find_yolo
from sightline.errors import DataError

SIZE = (32, 24)
IMAGES = ("images/train/a.png", "images/b.png")
OBJECTS = Data(repository="-", classes=("car", "bus"), jobs=1)
POSES = Data(repository="-", classes=("car",), keypoints=Keypoints(names=("l", "r")), jobs=1)
LABELS = Data(repository="-", label_sets={"age": ("old", "young"), "mask": ("with", "without")}, jobs=1)
SEPARATOR = b"\n---\n"

OUTLINE = {"segmentation": [[1, 1, 9, 1, 9, 9.5]], "bbox": [1, 1, 8, 8.5], "area": 34, "iscrowd": 0}
MASK = {"segmentation": {"size": [24, 32], "counts": [10, 5, 753]}, "bbox": [0, 10, 1, 5], "area": 5, "iscrowd": 0}
COCO = {
    "images": [
        {"id": 1, "file_name": "b.png", "width": 32, "height": 24},
        {"id": 0, "file_name": "images/train/a.png"},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, **OUTLINE, "keypoints": [2, 2, 2, 3, 3, 1], "num_keypoints": 2},
        {"id": 2, "image_id": 0, "category_id": 2, **MASK},
    ],
    "categories": [{"id": 1, "name": "car", "keypoints": ["l", "r"], "skeleton": [[1, 2]]}, {"id": 2, "name": "bus"}],
    "label_sets": [{"name": "age", "category_ids": [1, 2]}],
}  # fmt: skip
YOLO = b"names: [car, bus]\ntrain: images/train\nval: list.txt\nkpt_shape: [2, 3]\nflip_idx: [1, 0]" + SEPARATOR
YOLO_POSE = YOLO + b"0 .5 .5 .2 .2 .5 .5 2 .6 .6 1\n" + SEPARATOR + b"images/b.png\n"
YOLO_SHAPES = b"names: {0: car, 1: bus}\ntrain: ." + SEPARATOR + b"1 .1 .1 .5 .1 .5 .5\n0 .5 .5 .2 .2" + SEPARATOR
TABLE = b"path;age;mask;person\nimages/b.png;old;with;p1\nimages\\train\\a.png;young;;p2\n"


def coco(data: bytes) -> None:
    """Objects, poses, labels or unknown classes, chosen by the input; and the tools that keep all fields."""
    root = _folder()
    (root / "annotations.json").write_bytes(data)
    index, facts = ImageIndex(list_files(root)), image_facts(_picture(), 10_000, "a.png")
    settings, known = ((OBJECTS, True), (POSES, True), (LABELS, True), (OBJECTS, False))[zlib.crc32(data) % 4]
    file = coco_files.CocoFile(root, "annotations.json", settings, index, classes_known=known)
    reader = ImageReader(root, settings, classes_known=known)
    readings = [reader.finish(item, facts, list(item.faults)) for item in file.images]
    found = Found("coco", 1, 0, tuple(file.faults), file.keypoints, table="annotations.json", classes=file.classes)
    _require_inside(join_readings(readings, found, settings, classes_known=known), settings)
    try:
        source = read_source(root / "annotations.json")
    except DataError:
        return
    assert source.restricted(set(source.annotations_of())) == source.document
    assert sorted(source.class_names().values()) == sorted(one["name"] for one in source.document["categories"])


def yolo_dataset(data: bytes) -> None:
    """The YAML file, a label file and a list of images, with lines of dashes between them."""
    root = _folder()
    description, _, rest = data.partition(SEPARATOR)
    label_file, _, listed = rest.partition(SEPARATOR)
    (root / "labels/train").mkdir(parents=True, exist_ok=True)
    for name, content in (("data.yaml", description), ("labels/train/a.txt", label_file), ("labels/b.txt", label_file)):
        (root / name).write_bytes(content)
    (root / "list.txt").write_bytes(listed)
    settings, known = ((OBJECTS, True), (POSES, True), (OBJECTS, False))[zlib.crc32(data) % 3]
    with suppress(DataError):
        _require_inside(yolo.read_folder(root, settings, classes_known=known), settings)
    try:
        source = find_yolo(root)
        assert source is not None
        source.classes()
    except DataError:
        return


def csv_table(data: bytes) -> None:
    """Every row is an image, a fault, or both; labels are those of the configuration."""
    root = _folder()
    (root / "labels.csv").write_bytes(data)
    known = bool(zlib.crc32(data) % 2)
    annotations = csv_file.read_folder(root, LABELS if known else OBJECTS, classes_known=known)
    assert annotations.images or annotations.faults
    for image in annotations.images if known else ():
        assert set(image.labels) <= set(LABELS.classes)


def _require_inside(annotations: Annotations, settings: Data) -> None:
    for image in annotations.images:
        assert (image.width, image.height) == SIZE
        for instance in image.instances:
            x, y, width, height = instance.bbox
            assert 0 <= x < x + width <= SIZE[0] + 1e-9
            assert 0 <= y < y + height <= SIZE[1] + 1e-9
            assert instance.area > 0
            for x, y, _ in instance.keypoints or ():
                assert 0 <= x <= SIZE[0]
                assert 0 <= y <= SIZE[1]
            assert instance.keypoints is None or len(instance.keypoints) == len(settings.keypoints.names)


@cache
def _picture() -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", SIZE, "red").save(picture, "PNG")
    return picture.getvalue()


@cache
def _root() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _folder() -> Path:
    """The folder with the images; annotations of other targets are removed."""
    root = Path(_root().name)
    for name in IMAGES:
        if not (root / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(_picture())
    for name in ("annotations.json", "data.yaml", "list.txt", "labels.csv", "labels/train/a.txt", "labels/b.txt"):
        (root / name).unlink(missing_ok=True)
    return root
