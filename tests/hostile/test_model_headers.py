"""Model files that are something else, or whose header does not fit: refused with the whole message, read from no tensor."""

# ruff: noqa: E501  (a table: one row a fault, with its whole message)

import json
import struct

import pytest

from sightline.engine.checkpoint import read_state
from sightline.errors import ModelFileError, StepError
from sightline.models.backbone import build_backbone, load_backbone_weights
from sightline.models.model_file import card_of, read_card
from sightline.models.safetensors_header import parse_header, read_header
from sightline.version import __version__
from tests.squares import TINY_MODEL

PICKLE = "a pickle can run any code when it is loaded, so Sightline reads only .safetensors; if you trust the file, convert it: safetensors.torch.save_file(torch.load(file, weights_only=True), target)"
DTYPES = "BOOL, U8, I8, F8_E5M2, F8_E4M3, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64"


def tensor(**fields):
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **fields}


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def announced(length, size):
    return f"not a safetensors file, or cut off: a header of {length} bytes is declared in a file of {size} bytes (at most 16777216 are read); fetch the file again"


def wrong(reason):
    return f"the header of the safetensors file is wrong: {reason}; fetch the file again"


# The file, what is said after its name.
FILES = {
    # Something else.
    "torch.save": (b"PK\x03\x04" + bytes(60), PICKLE),
    "pickle, protocol 2": (b"\x80\x02}q\x00." + bytes(60), PICKLE),
    "pickle, protocol 5": (b"\x80\x05}." + bytes(60), PICKLE),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer, not the file; fetch the file itself with git lfs pull"),
    "Keras": (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file, as Keras writes it, but Sightline reads only .safetensors; give such a file"),
    "NumPy": (b"\x93NUMPY\x01\x00", "it is a NumPy array, but Sightline reads only .safetensors; give such a file"),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "it is a GGUF file, but Sightline reads only .safetensors; give such a file"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "it is compressed with gzip; unpack it first"),
    "an error page": (b"<!DOCTYPE html><html>", "it is a web page, not a model; download the file itself"),
    # The length.
    "nothing": (b"", announced(0, 0)),
    "seven bytes": (bytes(7), announced(0, 7)),
    "zeros": (bytes(64), announced(0, 64)),
    "a header longer than the file": (safetensors({}, length=100), announced(100, 10)),
    "a header of 2**63 bytes": (safetensors({}, length=2**63), announced(2**63, 10)),
    # The text.
    "no JSON": (safetensors(b"not json"), wrong("not valid JSON: Expecting value (line 1, column 1)")),
    "a list": (safetensors([1]), wrong("it is not a JSON object")),
    "100,000 brackets": (safetensors(b"[" * 100_000), wrong("brackets are nested too deeply")),
    "a tensor twice": (safetensors(b'{"a": 1, "a": 2}'), wrong("duplicate key 'a'")),
    "UTF-16": (safetensors("{}".encode("utf-16")), wrong("not UTF-8 (byte 0xff at 0)")),
    "NaN": (safetensors(b'{"a": NaN}'), wrong("it contains NaN, which JSON does not allow")),
    "half a character": (safetensors(b'{"\\ud800": {}}'), wrong("a string contains a lone surrogate (U+D800)")),
    "metadata that are a list": (safetensors({"__metadata__": ["a"]}), wrong("__metadata__ must contain only strings")),
    "metadata with a number": (safetensors({"__metadata__": {"sightline": 3}}), wrong("__metadata__ must contain only strings")),
    # One tensor.
    "a number for a tensor": (safetensors({"a": 3}), wrong("tensor 'a' must have dtype, shape and data_offsets")),
    "no dtype": (safetensors({"a": {"shape": [], "data_offsets": [0, 0]}}), wrong("tensor 'a' must have dtype, shape and data_offsets")),
    "a field more": (safetensors({"a": tensor(device="cuda")}), wrong("tensor 'a' must have dtype, shape and data_offsets")),
    "an unknown dtype": (safetensors({"a": tensor(dtype="F31")}), wrong(f"tensor 'a' has an unknown dtype; known are {DTYPES}")),
    "a list for a dtype": (safetensors({"a": tensor(dtype=["F32"])}), wrong(f"tensor 'a' has an unknown dtype; known are {DTYPES}")),
    "a negative shape": (safetensors({"a": tensor(shape=[-1, -2])}), wrong("the shape of tensor 'a' is not a list of whole numbers, 0 or more")),
    "half a shape": (safetensors({"a": tensor(shape=[0.5])}), wrong("the shape of tensor 'a' is not a list of whole numbers, 0 or more")),
    "a shape that is true": (safetensors({"a": tensor(shape=[True])}), wrong("the shape of tensor 'a' is not a list of whole numbers, 0 or more")),
    "a shape of 2**64": (safetensors({"a": tensor(shape=[2**64])}), wrong("the shape of tensor 'a' is not a list of whole numbers, 0 or more")),
    "a thousand dimensions": (safetensors({"a": tensor(shape=[1] * 1000)}), wrong("the shape of tensor 'a' is not a list of whole numbers, 0 or more")),
    "a shape larger than its bytes": (safetensors({"a": tensor(shape=[2**20, 2**20])}, bytes(8)), wrong("tensor 'a' needs 4398046511104 bytes by its shape, but its data_offsets span 8")),
    "text offsets": (safetensors({"a": tensor(data_offsets="08")}), wrong("data_offsets of tensor 'a' are not two whole numbers, 0 or more")),
    "three offsets": (safetensors({"a": tensor(data_offsets=[0, 8, 9])}), wrong("data_offsets of tensor 'a' are not two whole numbers, 0 or more")),
    "the end before the beginning": (safetensors({"a": tensor(data_offsets=[8, 0])}), wrong("tensor 'a' needs 8 bytes by its shape, but its data_offsets span -8")),
    # All of them.
    "two tensors in one place": (safetensors({"a": tensor(), "b": tensor()}, bytes(8)), wrong("tensor 'b' begins at byte 0, expected 8: it overlaps the one before")),
    "a gap where something hides": (safetensors({"a": tensor(), "b": tensor(data_offsets=[16, 24])}, bytes(24)), wrong("tensor 'b' begins at byte 16, expected 8: it leaves a gap before it")),
    "cut off": (safetensors({"a": tensor()}, bytes(4)), wrong("its tensors need 8 bytes, but 4 follow the header: the file is cut off")),
    "something behind the tensors": (safetensors({"a": tensor()}, bytes(9)), wrong("its tensors need 8 bytes, but 9 follow the header: there are extra bytes at the end")),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_is_refused_by_every_reader(case, tmp_path):
    content, message = FILES[case]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    for read in (read_header, read_card, lambda path: parse_header(content, str(path))):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {message}"
    with pytest.raises(ModelFileError) as caught:
        load_backbone_weights(build_backbone(TINY_MODEL), path)
    assert str(caught.value) == f"{path}: {message}"
    with pytest.raises(StepError) as step:
        read_state(path)
    assert str(step.value) == (
        f"the checkpoint {path} cannot be used ({path}: {message}); remove the folder {tmp_path} to train from the start"
    )


@pytest.mark.parametrize("name", ["model.pt", "model.PTH", "model.ckpt", "model.pkl", "pytorch_model.bin"])
def test_an_old_pickle_is_known_by_its_name(name, tmp_path):
    (tmp_path / name).write_bytes(b"(dp0\n." + bytes(60))
    with pytest.raises(ModelFileError) as caught:
        read_card(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {PICKLE}"


def test_what_is_in_the_file_counts_and_not_its_name(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(safetensors({"a": tensor()}, bytes(8)))
    assert read_header(path).shapes == {"a": (2,)}


@pytest.mark.parametrize("length", [640, 896, 1152, 1408])
def test_a_header_whose_length_looks_like_the_beginning_of_a_pickle_is_read(length):
    header = json.dumps({"a": tensor()}).encode().ljust(length)
    assert parse_header(safetensors(header, bytes(8)), "model").shapes == {"a": (2,)}


# The text under "sightline" in the header, what is said after the file's name.
AGAIN = "fetch the file again, or train again"
CARDS = {
    "nothing": ("", f"the description in the header is damaged (it is empty); {AGAIN}"),
    "no JSON": ("{", f"the description in the header is damaged (not valid JSON: Expecting property name enclosed in double quotes (line 1, column 2)); {AGAIN}"),
    "a list": ("[1]", f"the description in the header cannot be read (it is not a JSON object); {AGAIN}"),
    "no format": ("{}", f"the description in the header is damaged (task: Field required); {AGAIN}"),
    "tomorrow's format": ('{"format": 99}', f"the description in the header cannot be read (it has format 99, but Sightline {__version__} reads formats up to 2); install a version of Sightline later than {__version__}"),
    "a format of before that never was": ('{"format_version": 2}', f"the description in the header cannot be read (format_version: '2'; expected 1); {AGAIN}"),
    "its format alone": ('{"format_version": 1}', f"the description in the header is damaged (task: Field required); {AGAIN}"),
    "Infinity": ('{"format_version": 1, "metrics": {"EIR": Infinity}}', f"the description in the header is damaged (it contains Infinity, which JSON does not allow); {AGAIN}"),
}  # fmt: skip


@pytest.mark.parametrize("case", CARDS)
def test_a_description_that_cannot_be_is_refused(case, tmp_path):
    text, message = CARDS[case]
    with pytest.raises(ModelFileError) as caught:
        card_of(parse_header(safetensors({"__metadata__": {"sightline": text}}), "m"), tmp_path / "m")
    assert str(caught.value) == f"{tmp_path / 'm'}: {message}"
