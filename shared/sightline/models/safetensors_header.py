"""The header of a ``.safetensors`` file, checked before any tensor is made from the file.

Eight bytes of length, a JSON object, the tensors' bytes (https://huggingface.co/docs/safetensors).  Every number in the
header is a claim: that it fits the file is checked here, so that a wrong one is named and costs no memory.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline import strict_json
from sightline.errors import ModelFileError

LONGEST_HEADER = 16 * 2**20
"""Bytes; a header of a large network has under one million."""

_LENGTH_BYTES = 8
_ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4,
    "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip

_PICKLE_NAMES = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"}
_PICKLE = (
    "a pickle can run any code when it is loaded, so Sightline reads only .safetensors; if you trust the file, "
    "convert it: safetensors.torch.save_file(torch.load(file, weights_only=True), target)"
)
_BEGINNINGS = {
    b"PK\x03\x04": _PICKLE,  # torch.save writes a pickle in a zip archive
    b"\x80\x02": _PICKLE,
    b"\x80\x03": _PICKLE,
    b"\x80\x04": _PICKLE,
    b"\x80\x05": _PICKLE,
    b"version ": "it is a Git LFS pointer, not the file; fetch the file itself with git lfs pull",
    b"\x89HDF": "it is an HDF5 file, as Keras writes it, but Sightline reads only .safetensors; give such a file",
    b"\x93NUMPY": "it is a NumPy array, but Sightline reads only .safetensors; give such a file",
    b"GGUF": "it is a GGUF file, but Sightline reads only .safetensors; give such a file",
    b"\x1f\x8b": "it is compressed with gzip; unpack it first",
    b"<!DOCTYP": "it is a web page, not a model; download the file itself",
    b"<html": "it is a web page, not a model; download the file itself",
}
"""First bytes -> what the file is instead.

A header of 640 bytes begins as a pickle of protocol 2 does: one whose length fits the file is read all the same.  No
other of these begins like a header, whose length is a multiple of eight.
"""


@dataclass(frozen=True, slots=True)
class Header:
    """What a ``.safetensors`` file says before its tensors.

    Attributes:
        metadata: Texts by name.
        shapes: Of the tensors by name.
    """

    metadata: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]


def read_header(path: Path) -> Header:
    """Read and check the header of a file.

    Raises:
        ModelFileError: The file cannot be read, is something else, or its header does not fit it.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            beginning = file.read(_LENGTH_BYTES)
            content = file.read(_header_bytes(beginning, size, path))
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror}); give the path of a model file") from error
    return _decode(content, size - _LENGTH_BYTES - len(content), str(path))


def parse_header(content: bytes, where: str) -> Header:
    """Check a whole file that is in memory; see :func:`read_header`."""
    end = _LENGTH_BYTES + _header_bytes(content[:_LENGTH_BYTES], len(content), Path(where))
    return _decode(content[_LENGTH_BYTES:end], len(content) - end, where)


def _header_bytes(beginning: bytes, size: int, path: Path) -> int:
    """How long the JSON is that follows the first eight bytes."""
    length: int = struct.unpack("<Q", beginning)[0] if len(beginning) == _LENGTH_BYTES else 0
    fits = 2 <= length <= min(LONGEST_HEADER, size - _LENGTH_BYTES)
    for known, remark in _BEGINNINGS.items():
        if beginning.startswith(known) and not (fits and length % 8 == 0):
            raise ModelFileError(f"{path}: {remark}")
    if fits:
        return length
    if path.suffix.lower() in _PICKLE_NAMES:
        raise ModelFileError(f"{path}: {_PICKLE}")
    raise ModelFileError(
        f"{path}: not a safetensors file, or cut off: a header of {length} bytes is declared in a file of {size} "
        f"bytes (at most {LONGEST_HEADER} are read); fetch the file again"
    )


def _decode(content: bytes, data_bytes: int, where: str) -> Header:
    try:
        header = strict_json.decode(content, max_bytes=LONGEST_HEADER)
        if not isinstance(header, dict):
            raise _WrongHeaderError("it is not a JSON object")
        metadata = _metadata(header.pop("__metadata__", {}))
        spans = sorted((*_span(name, entry), name) for name, entry in header.items())
        _require_all_bytes(spans, data_bytes)
    except (strict_json.JsonError, _WrongHeaderError) as error:
        raise ModelFileError(
            f"{where}: the header of the safetensors file is wrong: {error}; fetch the file again"
        ) from error
    return Header(metadata, {name: tuple(entry["shape"]) for name, entry in header.items()})


class _WrongHeaderError(ValueError):
    """What is wrong with a header."""


def _metadata(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _WrongHeaderError("__metadata__ must contain only strings")
    return value


def _span(name: str, entry: Any) -> tuple[int, int]:  # noqa: ANN401  (whatever JSON holds)
    """First byte and end of a tensor, in the bytes after the header."""
    tensor = f"tensor {strict_json.shown(name)}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _WrongHeaderError(f"{tensor} must have dtype, shape and data_offsets")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _ITEM_BYTES:
        raise _WrongHeaderError(f"{tensor} has an unknown dtype; known are {', '.join(_ITEM_BYTES)}")
    if not _is_counts(entry["shape"]):
        raise _WrongHeaderError(f"the shape of {tensor} is not a list of whole numbers, 0 or more")
    if not _is_counts(entry["data_offsets"]) or len(entry["data_offsets"]) != 2:
        raise _WrongHeaderError(f"data_offsets of {tensor} are not two whole numbers, 0 or more")
    begin, end = entry["data_offsets"]
    needed = math.prod(entry["shape"]) * _ITEM_BYTES[entry["dtype"]]
    if end - begin != needed:
        raise _WrongHeaderError(f"{tensor} needs {needed} bytes by its shape, but its data_offsets span {end - begin}")
    return begin, end


def _is_counts(value: object) -> bool:
    # More than any tensor has, and few enough that their product stays a number.
    return (
        isinstance(value, list) and len(value) <= 16 and all(type(item) is int and 0 <= item < 2**48 for item in value)
    )


def _require_all_bytes(spans: list[tuple[int, int, str]], data_bytes: int) -> None:
    """The tensors must follow one another without gap or overlap, and end where the file ends."""
    expected = 0
    for begin, end, name in spans:
        if begin != expected:
            what = "overlaps the one before" if begin < expected else "leaves a gap before it"
            raise _WrongHeaderError(
                f"tensor {strict_json.shown(name)} begins at byte {begin}, expected {expected}: it {what}"
            )
        expected = end
    if expected != data_bytes:
        what = "the file is cut off" if data_bytes < expected else "there are extra bytes at the end"
        raise _WrongHeaderError(f"its tensors need {expected} bytes, but {data_bytes} follow the header: {what}")
