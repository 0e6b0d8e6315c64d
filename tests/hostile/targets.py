"""What the fuzzers run: each reader of foreign input with any bytes, and what must hold for those it accepts."""

import copy
import json
import os
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import safetensors

from sightline.config import decode
from sightline.config.data import Data
from sightline.data.dvc.manifest import manifest_bytes, parse_manifest
from sightline.data.formats.labelme.document import parse
from sightline.data.formats.labelme.instances import ShapeReader
from sightline.data.formats.labels import LabelMap
from sightline.errors import ConfigurationError, ModelFileError, RepositoryError, StorageError
from sightline.models.model_file import card_of
from sightline.models.safetensors_file import read_metadata
from sightline.storage.keys import validate_key
from tests.hostile import format_targets as formats

ROOT = "/root-of-all"
SIZE = (64, 48)
MD5 = "0123456789abcdef0123456789abcdef"
SETTINGS = Data(repository="-", classes=("car", "bus"), jobs=1)
LABELS = LabelMap(SETTINGS, classes_known=True)
SECTIONS = {
    "data": {"repository": "-", "classes": ["a", "b"]},
    "storage": {"uri": "-"},
    "database": {"url": "sqlite:////x"},
    "work": {"dir": "-"},
}
SHAPE = {"label": "car", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon", "group_id": None, "flags": {}}
LABELME = {"shapes": [SHAPE], "imagePath": "a.jpg", "imageData": None, "imageWidth": 64, "imageHeight": 48, "flags": {}}


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        run: Reads the bytes; raises only when the reader is wrong.
        seeds: Inputs to begin with.
        words: Pieces that inputs are made of.
    """

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[str, ...]


def labelme(data: bytes) -> None:
    """Faults come back as values, and every instance lies inside its image."""
    file, faults = parse(data, "a.json")
    assert file is not None or faults
    if file is None:
        return
    read = ShapeReader("a.json", SETTINGS, LABELS, size=SIZE, draw=True).read(file.shapes)
    for instance in read.instances:
        x, y, width, height = instance.bbox
        assert 0 <= x < x + width <= SIZE[0]
        assert 0 <= y < y + height <= SIZE[1]
    again, faults_again = parse(json.dumps(json.loads(data.decode("utf-8-sig"))).encode(), "a.json")
    assert repr((again, faults_again)) == repr((file, faults))  # NaN equals NaN in text alone


def configuration(data: bytes) -> None:
    """One document of sections and overrides behind a line of dashes; what is accepted survives its journey as JSON."""
    text, _, overrides = data.decode("utf-8", "surrogateescape").partition("\n---\n")
    document = copy.deepcopy(SECTIONS)
    try:
        section = decode.strict_yaml.decode(text)
        if isinstance(section, dict):
            document.update(section)
        config = decode.assemble(document, decode.split_overrides(overrides), "plates")
    except (ConfigurationError, decode.strict_yaml.YamlError):
        return
    assert decode.from_json(config.model_dump_json()) == config


def manifest(data: bytes) -> None:
    """No accepted path leaves its folder, and what is written again is read equal."""
    try:
        accepted = parse_manifest(data, "the list")
    except RepositoryError:
        return
    for path in accepted:
        _require_inside(path)
    assert parse_manifest(manifest_bytes(accepted), "the list") == accepted


def object_name(data: bytes) -> None:
    """No accepted name leaves its bucket, and no two accepted names are one file."""
    key = data.decode("utf-8", "surrogateescape")
    try:
        assert validate_key(key) == key
    except StorageError:
        return
    _require_inside(key)
    assert Path(ROOT, key).relative_to(ROOT).as_posix() == key


def model_header(data: bytes) -> None:
    """What is accepted, the library that reads the tensors accepts too."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            metadata = read_metadata(Path(file.name))
        except ModelFileError:
            return
    safetensors.deserialize(data)
    with suppress(ModelFileError):
        card_of(metadata, Path("m"))


def _require_inside(path: str) -> None:
    assert os.path.normpath(f"{ROOT}/{path}") == f"{ROOT}/{path}"
    assert "\0" not in path


def _safetensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


_TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
_CARD = json.dumps({"format": 2, "task": "instance_segmentation", "classes": ["0"]})

TARGETS = {
    "labelme": Target(
        labelme,
        (json.dumps(LABELME).encode(), json.dumps({**LABELME, "shapes": [SHAPE, {**SHAPE, "group_id": 1}]}).encode()),
        ("shapes", "label", "points", "shape_type", "group_id", "imagePath", "imageData", "imageWidth", "flags", "mask",
         "rectangle", "circle", "oriented_rectangle", "line", "NaN", "Infinity", "1e999", "null", "true", "\\ud800"),
    ),
    "configuration": Target(
        configuration,
        (b"seed: 1\n---\ntrain.iterations=5\ndata.classes=[a, b]", b"data: {repository: x, classes: [a]}\nseed: 3"),
        ("data", "train", "model", "classes", "seed", "repository", "\n---\n", "&a", "*a", "!!int", "<<", "0x_", "1:30",
         ".nan", ".inf", "~", "2024-13-45", "? ", "|\n", "://", "a:b@c", "train.learning_rate=", "data.splits="),
    ),
    "manifest": Target(
        manifest,
        (manifest_bytes({"a.jpg": MD5, "b/c.jpg": MD5}), b"[]", b'[{"md5": "x", "relpath": "../a"}]'),
        ("md5", "relpath", MD5, "..", "/", "\\\\", "\\u0000", "\\ud800", "C:", "null", "NaN", "1e999"),
    ),
    "object_name": Target(
        object_name,
        (b"results/train/plates_train_v1/3f2a/result.json", "ü/é.jpg".encode(), b"../a", b".sightline/lock"),
        ("..", ".", "/", "\\", "C:", ".sightline", "\u2028", "\x85", "CON", "~"),
    ),
    "model_header": Target(
        model_header,
        (
            _safetensors({"a": _TENSOR}, bytes(8)),
            _safetensors({"__metadata__": {"a": "b"}, "a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}}, b"1"),
            _safetensors({"__metadata__": {"sightline": _CARD}}),
        ),
        ("__metadata__", "sightline", "dtype", "shape", "data_offsets", "F32", "BF16", "BOOL", "I64", "format",
         "format_version", "PK\x03\x04", "NaN", "\\ud800"),
    ),
    "coco": Target(
        formats.coco,
        (json.dumps(formats.COCO).encode(), b'{"images": [], "annotations": [], "categories": []}'),
        ("images", "annotations", "categories", "id", "image_id", "category_id", "segmentation", "bbox", "counts",
         "size",
         "iscrowd", "keypoints", "file_name", "width", "labels", "label_sets", "group", "NaN", "1e999", "null", "true",
         "1.0", "4294967296", "\\u0000", "../", "C:\\\\"),
    ),
    "yolo": Target(
        formats.yolo_dataset,
        (formats.YOLO_POSE, formats.YOLO_SHAPES),
        ("names", "nc: ", "path: ", "train: ", "val: ", "kpt_shape", "flip_idx", "kpt_names", "\n---\n", "[", "{", "~",
         "&a", "*a", "nan", "inf", "1e999", "0x1", "1_0", "images/b.png", "../", "C:\\", "/x/images/b.png", "\ufeff"),
    ),
    "csv": Target(
        formats.csv_table,
        (formats.TABLE, b"sep=,\r\nfile,age,mask\r\n\"images/b.png\",old,with\r\n"),
        ("path", "age", "mask", "class", "sep=;", "images/b.png", ";", ",", "\t", "|", '"', "\r\n", "\n", "\ufeff",
         "\u2028", "\x0b", "\x00", "../", "C:\\", "/"),
    ),
}  # fmt: skip
