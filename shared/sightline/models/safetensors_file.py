"""What a ``.safetensors`` file says of itself, read before any tensor is made from it.

The safetensors library checks the header: that it is JSON of the right form, and that the tensors fill the file without
a gap or an overlap (https://huggingface.co/docs/safetensors).  Here stands what it lacks: a bound on the header's
length, and what the file is instead, where it is something that people often give.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from safetensors import SafetensorError, safe_open

from sightline.errors import ModelFileError

LONGEST_HEADER = 16 * 2**20
"""Bytes; a header of a large network has under one million, and the library alone would read 100 million."""

_LENGTH_BYTES = 8

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
    b"\x1f\x8b\x08": "it is compressed with gzip; unpack it first",
    b"<!DOCTYP": "it is a web page, not a model; download the file itself",
    b"<html": "it is a web page, not a model; download the file itself",
}
"""First bytes -> what the file is instead.

A header of 640 bytes begins as a pickle of protocol 2 does: one whose length fits the file is read all the same.  No
other of these begins like a header, whose length is a multiple of eight.
"""


def read_metadata(path: Path) -> dict[str, str]:
    """Check a file, and give the texts in its header by name.

    Raises:
        ModelFileError: The file cannot be read, is something else, is cut off, or its header does not fit it.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            _require_safetensors(file.read(_LENGTH_BYTES), size, path)
        with safe_open(path, framework="np") as tensors:  # NumPy or torch would be imported for a tensor only
            return dict(tensors.metadata() or {})
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read ({error.strerror or error}); give the path of a model file"
        ) from error
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")[:300]
        printable = reason.encode("unicode_escape").decode()  # it may quote the name of a tensor
        raise ModelFileError(f"{path}: the file is damaged or cut off ({printable}); fetch it again") from error


def _require_safetensors(beginning: bytes, size: int, path: Path) -> None:
    """Refuse what is not safetensors, by the first eight bytes: the length of the JSON that follows."""
    length: int = struct.unpack("<Q", beginning)[0] if len(beginning) == _LENGTH_BYTES else 0
    fits = 2 <= length <= min(LONGEST_HEADER, size - _LENGTH_BYTES)
    for known, remark in _BEGINNINGS.items():
        if beginning.startswith(known) and not (fits and length % 8 == 0):
            raise ModelFileError(f"{path}: {remark}")
    if fits:
        return
    if path.suffix.lower() in _PICKLE_NAMES:
        raise ModelFileError(f"{path}: {_PICKLE}")
    raise ModelFileError(
        f"{path}: not a safetensors file, or cut off: a header of {length} bytes is declared in a file of {size} "
        f"bytes (at most {LONGEST_HEADER} are read); fetch the file again"
    )
