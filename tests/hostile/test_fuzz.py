"""The readers that ``make fuzz`` feeds with bytes get documents of the right shape here, their parts anything."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.hostile import format_targets as formats
from tests.hostile.targets import LABELME, MD5, SHAPE, TARGETS

SOMETHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(10**400)


def containers(part):
    return st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=4), part, max_size=3)


ANYTHING = st.recursive(SOMETHING, containers, max_leaves=9)
FUZZ = hypothesis_settings(max_examples=150)


def changed(document):
    """The document with any of its fields replaced by anything, and perhaps one more."""
    fields = st.fixed_dictionaries({key: st.just(value) | ANYTHING for key, value in document.items()})
    more = st.dictionaries(st.text(max_size=5), ANYTHING, max_size=1)
    return st.builds(lambda known, others: {**others, **known}, fields, more)


def as_json(document):
    return json.dumps(document).encode()


def labelme_file(shapes, rest):
    return as_json({**rest, "shapes": shapes})


def coco_file(images, annotations, categories, rest):
    """A COCO file of which about every second part is as in the seed."""
    parts = {"images": images, "annotations": annotations, "categories": categories}
    return as_json({**formats.COCO, **rest, **{name: part for name, part in parts.items() if part}})


def yolo_files(description, lines, listed):
    parts = as_json(description), "\n".join(lines).encode(), "\n".join(listed).encode("utf-8", "surrogatepass")
    return formats.SEPARATOR.join(parts)


def table(rows, delimiter):
    lines = [delimiter.join(row) for row in (["path", "age", "mask"], *rows)]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def sections(document, overrides):
    return as_json(document) + b"\n---\n" + "\n".join(overrides).encode()


def safetensors(header, data):
    return struct.pack("<Q", len(as_json(header))) + as_json(header) + data


PARTS = st.sampled_from(["a", "b.jpg", "ü", "..", ".", "", "CON", "C:", ".sightline", "\\", "\0", "\u2028", "x" * 300])
PATHS = st.lists(PARTS | st.text(max_size=3), max_size=5).map("/".join)
ENTRIES = st.builds(lambda path, md5: {"md5": md5, "relpath": path}, PATHS | ANYTHING, st.just(MD5) | ANYTHING)
SHAPES = changed({**SHAPE, "points": [[1, 1], [9.5, 1], [9, 1e300]]}) | st.just(SHAPE)
BYTE = {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}
TENSORS = changed({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}) | st.just(BYTE)
NAMES = st.sampled_from(["a", "b", "__metadata__"]) | st.text(max_size=3)
FIELDS = ["seed", "data.classes", "data.splits.train", "train.iterations", "model.anchor_sizes", "data", "a.b"]
OVERRIDES = st.builds(lambda field, value: f"{field}={json.dumps(value)}", st.sampled_from(FIELDS), ANYTHING)
SECTIONS = st.dictionaries(st.sampled_from(["data", "model", "seed"]), ANYTHING, max_size=2)

ANNOTATIONS = changed(formats.COCO["annotations"][0]) | changed(formats.COCO["annotations"][1])
YAML = changed({"names": ["car", "bus"], "train": "images/train", "kpt_shape": [2, 3], "flip_idx": [1, 0]})
NUMBERS = st.sampled_from(["0", "1", "0.5", "-0.1", "2", "nan", "1e999", "x"]) | st.floats(0, 1).map(str)
LINES = st.lists(NUMBERS, max_size=12).map(" ".join)
CELLS = st.sampled_from(["images/b.png", "images\\train\\a.png", "old", "with", '"', "", "../a"]) | st.text(max_size=4)

INPUTS = {
    "labelme": st.builds(labelme_file, st.lists(SHAPES, max_size=3) | ANYTHING, changed(LABELME)),
    "configuration": st.builds(sections, SECTIONS, st.lists(OVERRIDES, max_size=3)),
    "manifest": st.lists(ENTRIES | ANYTHING, max_size=5).map(as_json),
    "object_name": PATHS.map(lambda path: path.encode("utf-8", "surrogatepass")),
    "coco": st.builds(
        coco_file,
        st.lists(changed(formats.COCO["images"][0]) | ANYTHING, max_size=2),
        st.lists(ANNOTATIONS | ANYTHING, max_size=3),
        st.lists(changed(formats.COCO["categories"][0]) | ANYTHING, max_size=2),
        changed(formats.COCO),
    ),
    "yolo": st.builds(yolo_files, YAML, st.lists(LINES, max_size=3), st.lists(PATHS, max_size=2)),
    "csv": st.builds(table, st.lists(st.lists(CELLS, max_size=5), max_size=5), st.sampled_from(",;\t|")),
    "model_header": st.builds(
        safetensors, st.dictionaries(NAMES, TENSORS | ANYTHING, max_size=3), st.binary(max_size=20)
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_no_document_makes_a_reader_raise_what_it_did_not_promise(name):
    @FUZZ
    @given(INPUTS[name])
    def read(data):
        TARGETS[name].run(data)

    read()


@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_do(name):
    @FUZZ
    @given(st.binary(max_size=100))
    def read(data):
        TARGETS[name].run(data)

    read()
    for seed in TARGETS[name].seeds:
        TARGETS[name].run(seed)
        for place in range(len(seed)):
            TARGETS[name].run(seed[:place])
            TARGETS[name].run(seed[:place] + bytes([seed[place] ^ 1]) + seed[place + 1 :])
