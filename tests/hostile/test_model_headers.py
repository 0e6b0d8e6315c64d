"""Model files that are something else, or whose header does not fit: refused before any tensor is read."""

# ruff: noqa: E501  (a table: one row a fault, with its whole message)

import json
import os
import struct

import pytest
import torch

from sightline.engine.checkpoint import read_state
from sightline.errors import ModelFileError, StepError
from sightline.models.model_file import card_of, read_card
from sightline.models.safetensors_file import read_metadata
from sightline.models.weights.tensors import read_tensors
from sightline.version import __version__
from tests.golden import raises

PICKLE = "the file is a pickle, which can run any code when loaded, so Sightline reads only .safetensors; if you trust it, convert it: safetensors.torch.save_file(torch.load(file, weights_only=True), target)"


def tensor(**fields):
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **fields}


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def announced(length, size):
    return f"not a safetensors file, or truncated: a header of {length} bytes is declared in a file of {size} bytes (at most 16777216 are read); fetch the file again"


DAMAGED = "the file is damaged or truncated ("  # the library says why


# The file, how the message begins after its name.
FILES = {
    # Something else.
    "torch.save": (b"PK\x03\x04" + bytes(60), PICKLE),
    "pickle, protocol 2": (b"\x80\x02}q\x00." + bytes(60), PICKLE),
    "pickle, protocol 5": (b"\x80\x05}." + bytes(60), PICKLE),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "the file is a Git LFS pointer; fetch the file itself with git lfs pull"),
    "Keras": (b"\x89HDF\r\n\x1a\n", "the file is in HDF5 format, as written by Keras; expected a .safetensors file"),
    "NumPy": (b"\x93NUMPY\x01\x00", "the file is a NumPy array; expected a .safetensors file"),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "the file is in GGUF format; expected a .safetensors file"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "the file is compressed with gzip; decompress it first"),
    "an error page": (b"<!DOCTYPE html><html>", "the file is a web page, not a model; download the model file itself"),
    # The length.
    "nothing": (b"", announced(0, 0)),
    "seven bytes": (bytes(7), announced(0, 7)),
    "zeros": (bytes(64), announced(0, 64)),
    "a header longer than the file": (safetensors({}, length=100), announced(100, 10)),
    "a header of 2**63 bytes": (safetensors({}, length=2**63), announced(2**63, 10)),
    # The text.
    "no JSON": (safetensors(b"not json"), DAMAGED),
    "a list": (safetensors([1]), DAMAGED),
    "100,000 brackets": (safetensors(b"[" * 100_000), DAMAGED),
    "a tensor twice": (safetensors(b'{"a": 1, "a": 2}'), DAMAGED),
    "UTF-16": (safetensors("{}".encode("utf-16")), DAMAGED),
    "NaN": (safetensors(b'{"a": NaN}'), DAMAGED),
    "half a character": (safetensors(b'{"\\ud800": {}}'), DAMAGED),
    "metadata that are a list": (safetensors({"__metadata__": ["a"]}), DAMAGED),
    "metadata with a number": (safetensors({"__metadata__": {"sightline": 3}}), DAMAGED),
    # One tensor.
    "a number for a tensor": (safetensors({"a": 3}), DAMAGED),
    "no dtype": (safetensors({"a": {"shape": [], "data_offsets": [0, 0]}}), DAMAGED),
    "a field more": (safetensors({"a": tensor(device="cuda")}), DAMAGED),
    "an unknown dtype": (safetensors({"a": tensor(dtype="F31")}), DAMAGED),
    "a list for a dtype": (safetensors({"a": tensor(dtype=["F32"])}), DAMAGED),
    "a negative shape": (safetensors({"a": tensor(shape=[-1, -2])}), DAMAGED),
    "half a shape": (safetensors({"a": tensor(shape=[0.5])}), DAMAGED),
    "a shape that is true": (safetensors({"a": tensor(shape=[True])}), DAMAGED),
    "a shape of 2**64": (safetensors({"a": tensor(shape=[2**64])}), DAMAGED),
    "a thousand dimensions": (safetensors({"a": tensor(shape=[1] * 1000)}), DAMAGED),
    "a shape larger than its bytes": (safetensors({"a": tensor(shape=[2**20, 2**20])}, bytes(8)), DAMAGED),
    "text offsets": (safetensors({"a": tensor(data_offsets="08")}), DAMAGED),
    "three offsets": (safetensors({"a": tensor(data_offsets=[0, 8, 9])}), DAMAGED),
    "the end before the beginning": (safetensors({"a": tensor(data_offsets=[8, 0])}), DAMAGED),
    # All of them.
    "two tensors in one place": (safetensors({"a": tensor(), "b": tensor()}, bytes(8)), DAMAGED),
    "a gap where something hides": (safetensors({"a": tensor(), "b": tensor(data_offsets=[16, 24])}, bytes(24)), DAMAGED),
    "cut off": (safetensors({"a": tensor()}, bytes(4)), DAMAGED),
    "something behind the tensors": (safetensors({"a": tensor()}, bytes(9)), DAMAGED),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_is_refused_by_every_reader(case, tmp_path):
    content, message = FILES[case]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    for read in (read_metadata, read_card):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: {message}")
    with pytest.raises(ModelFileError) as caught:
        read_tensors(path)
    # Weights may be a pickle, but only one of tensors.
    expected = "cannot read the checkpoint of PyTorch (" if message == PICKLE else message
    assert str(caught.value).startswith(f"{path}: {expected}")
    with pytest.raises(StepError) as step:
        read_state(path)
    assert f"{path}: {message}" in str(step.value)
    assert f"remove the folder {tmp_path}" in str(step.value)


class Command:
    """An object that runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_that_run_a_command_are_refused_before_they_run_it(tmp_path, legacy):
    content = {"conv1.weight": torch.zeros(1), "bias": Command(tmp_path / "ran")}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    with raises(ModelFileError, "w.pth"):
        read_tensors(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "w.pth", weights_only=False)  # the file does what it says
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [[torch.zeros(1)], {}, {"epoch": 3}, torch.zeros(2)])
def test_a_checkpoint_without_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with raises(ModelFileError, "w.pth", "no tensors by name"):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("size", [100, 1000, 2000])
def test_a_truncated_checkpoint_is_refused(tmp_path, size):
    torch.save({"conv1.weight": torch.zeros(1000)}, tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:size])
    with pytest.raises(ModelFileError, match=r"w\.pth: cannot read the checkpoint"):
        read_tensors(tmp_path / "w.pth")


def test_a_name_in_the_file_cannot_steer_a_terminal(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors({"\x1b[2J": tensor(data_offsets=[8, 16])}, bytes(16)))
    with pytest.raises(ModelFileError) as caught:
        read_metadata(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["model.pt", "model.PTH", "model.ckpt", "model.pkl", "pytorch_model.bin"])
def test_an_old_pickle_is_known_by_its_name(name, tmp_path):
    (tmp_path / name).write_bytes(b"(dp0\n." + bytes(60))
    with pytest.raises(ModelFileError) as caught:
        read_card(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {PICKLE}"


def test_what_is_in_the_file_counts_and_not_its_name(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(safetensors({"a": tensor(), "__metadata__": {"by": "me"}}, bytes(8)))
    assert read_metadata(path) == {"by": "me"}


@pytest.mark.parametrize("length", [640, 896, 1152, 1408, 35_615])
def test_a_header_whose_length_looks_like_the_beginning_of_a_pickle_is_read(length, tmp_path):
    header = json.dumps({"a": tensor(), "__metadata__": {"by": "me"}}).encode().ljust(length)
    (tmp_path / "model").write_bytes(safetensors(header, bytes(8)))
    assert read_metadata(tmp_path / "model") == {"by": "me"}


# The text under "sightline" in the header, what is said after the file's name.
AGAIN = "fetch the file again, or train again"
CARDS = {
    "nothing": ("", f"the model card in the header is damaged (it is empty); {AGAIN}"),
    "no JSON": ("{", f"the model card in the header is damaged (not valid JSON: Expecting property name enclosed in double quotes (line 1, column 2)); {AGAIN}"),
    "a list": ("[1]", f"cannot read the model card in the header (it is not a JSON object); {AGAIN}"),
    "no format": ("{}", f"the model card in the header is damaged (task: Field required); {AGAIN}"),
    "tomorrow's format": ('{"format": 99}', f"cannot read the model card in the header (it has format 99, but Sightline {__version__} reads formats up to 2); install a version of Sightline later than {__version__}"),
    "a format of before that never was": ('{"format_version": 2}', f"cannot read the model card in the header (format_version: '2'; expected 1); {AGAIN}"),
    "its format alone": ('{"format_version": 1}', f"the model card in the header is damaged (task: Field required); {AGAIN}"),
    "Infinity": ('{"format_version": 1, "metrics": {"EIR": Infinity}}', f"the model card in the header is damaged (it contains Infinity, which JSON does not allow); {AGAIN}"),
}  # fmt: skip


@pytest.mark.parametrize("case", CARDS)
def test_a_description_that_cannot_be_is_refused(case, tmp_path):
    text, message = CARDS[case]
    with pytest.raises(ModelFileError) as caught:
        card_of({"sightline": text}, tmp_path / "m")
    assert str(caught.value) == f"{tmp_path / 'm'}: {message}"
