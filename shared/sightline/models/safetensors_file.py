"""Reading the metadata of a ``.safetensors`` file before any tensor is loaded.

The safetensors library validates the header: it must be JSON of the right form, and the tensors must fill the file
without gaps or overlaps (https://huggingface.co/docs/safetensors).  This module adds a limit on the length of the
header, and recognizes other kinds of files that are often passed by mistake.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from safetensors import SafetensorError, safe_open

from sightline.errors import ModelFileError

LONGEST_HEADER = 16 * 2**20
"""Limit in bytes; the header of a large network has less than one million, while the library allows 100 million."""

_LENGTH_BYTES = 8

_PICKLE_NAMES = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"}
_PICKLE = (
    "the file is a pickle, which can run any code when loaded, so Sightline reads only .safetensors; if you trust it, "
    "convert it: safetensors.torch.save_file(torch.load(file, weights_only=True), target)"
)
_BEGINNINGS = {
    b"PK\x03\x04": _PICKLE,  # torch.save writes a pickle in a zip archive
    b"\x80\x02": _PICKLE,
    b"\x80\x03": _PICKLE,
    b"\x80\x04": _PICKLE,
    b"\x80\x05": _PICKLE,
    b"version ": "the file is a Git LFS pointer; fetch the file itself with git lfs pull",
    b"\x89HDF": "the file is in HDF5 format, as written by Keras; expected a .safetensors file",
    b"\x93NUMPY": "the file is a NumPy array; expected a .safetensors file",
    b"GGUF": "the file is in GGUF format; expected a .safetensors file",
    b"\x1f\x8b\x08": "the file is compressed with gzip; decompress it first",
    b"<!DOCTYP": "the file is a web page, not a model; download the model file itself",
    b"<html": "the file is a web page, not a model; download the model file itself",
}
"""First bytes -> error message for other kinds of files.

A header of 640 bytes starts with the same bytes as a pickle of protocol 2, so a file with a plausible header length is
read anyway.  None of the others can be the start of a header, because the length of a header is a multiple of eight.
"""


def read_metadata(path: Path) -> dict[str, str]:
    """Validate a file, and return the metadata in its header by name.

    Raises:
        ModelFileError: The file cannot be read, has another format, is truncated, or does not match its header.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            fault = _fault(file.read(_LENGTH_BYTES), size, path)
        if fault:
            raise ModelFileError(f"{path}: {fault}")
        with safe_open(path, framework="np") as tensors:  # NumPy or torch is only imported when a tensor is read
            return dict(tensors.metadata() or {})
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot read the file ({error.strerror or error}); give the path of a model file"
        ) from error
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")[:300]
        printable = reason.encode("unicode_escape").decode()  # it may contain the name of a tensor
        raise ModelFileError(f"{path}: the file is damaged or truncated ({printable}); fetch it again") from error


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, as ``torch.save`` writes it; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return _fault(file.read(_LENGTH_BYTES), size, path) == _PICKLE
    except OSError:
        return False


def _fault(beginning: bytes, size: int, path: Path) -> str:
    """What is wrong with a file, by its first eight bytes, which must be the length of the JSON that follows."""
    length: int = struct.unpack("<Q", beginning)[0] if len(beginning) == _LENGTH_BYTES else 0
    fits = 2 <= length <= min(LONGEST_HEADER, size - _LENGTH_BYTES)
    for known, remark in _BEGINNINGS.items():
        if beginning.startswith(known) and not (fits and length % 8 == 0):
            return remark
    if fits:
        return ""
    if path.suffix.lower() in _PICKLE_NAMES:
        return _PICKLE
    return (
        f"not a safetensors file, or truncated: a header of {length} bytes is declared in a file of {size} "
        f"bytes (at most {LONGEST_HEADER} are read); fetch the file again"
    )
