"""Reading files of weights: the only module that may call ``torch.load``, and download with ``torch.hub``.

``.safetensors`` files are preferred; other files are pickles, as PyTorch writes them.  They are read with
``weights_only=True``: an unpickler that creates tensors and containers, and rejects everything else
(https://docs.pytorch.org/docs/stable/notes/serialization.html#weights-only).
"""

from __future__ import annotations

import argparse
import pickle
import re
import socket
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sightline.errors import ModelFileError
from sightline.files import file_md5
from sightline.models.safetensors_file import is_pickle, read_metadata

STALLED_SECONDS = 20.0
"""Time limit for connecting to a server and for each read from it; a download has no limit as a whole."""

_WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Keys under which training programs put the tensors in their checkpoints."""

_PLAIN_DATA: list[Any] = [argparse.Namespace, types.SimpleNamespace]
"""Classes without behavior in which training programs, such as that of RF-DETR, keep their options."""

_REFUSAL = re.compile(r"GLOBAL:? ([\w.]+)")
"""What a pickle refers to, in the message of the unpickler; the rest advises to unpickle everything."""

_ODD_PICKLES = (ValueError, LookupError, TypeError, AttributeError)
"""Errors of the unpickler about a damaged file."""


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file, or of a checkpoint of PyTorch, by name, on the CPU.

    Raises:
        ModelFileError: The file cannot be read, is damaged, or contains anything else than tensors and containers.
    """
    if is_pickle(path):
        return _unpickled(path)
    read_metadata(path)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: cannot read the weights ({error}); fetch the file again") from error


def download_file(url: str, path: Path, *, sha256_prefix: str = "", md5: str = "") -> None:
    """Download a file, and keep it only if it has the digest that its publisher gives.

    Args:
        url: URL of the file.
        path: Where to write it.
        sha256_prefix: Beginning of its SHA-256; empty: not given.
        md5: Its MD5; empty: not given.

    Raises:
        OSError: The server cannot be reached, does not answer in time, or has no such file.
        ModelFileError: The file has another digest; it is removed.
    """
    with _limited_waiting():
        try:
            torch.hub.download_url_to_file(url, str(path), sha256_prefix or None, progress=False)
        except RuntimeError as error:
            raise ModelFileError(f"{url}: the download is damaged ({error}); run the command again") from error
    if md5 and (found := file_md5(path)) != md5:
        path.unlink()
        raise ModelFileError(
            f"{url}: the download is damaged: its MD5 is {found}, expected {md5}; run the command again"
        )


@contextmanager
def _limited_waiting() -> Iterator[None]:
    """Limit the time that ``torch.hub`` waits for a server; it has no argument for that."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALLED_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _unpickled(path: Path) -> dict[str, torch.Tensor]:
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old or unusual protocols, which are read or refused all the same
            with torch.serialization.safe_globals(_PLAIN_DATA):
                content = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, OSError, RuntimeError, *_ODD_PICKLES) as error:
        raise _damaged(path, error) from error
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = dict(content) if isinstance(content, Mapping) else {}
    tensors = {str(name): value for name, value in tensors.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise ModelFileError(
            f"{path}: the checkpoint contains no tensors by name; expected a state dict, as written by "
            "torch.save(network.state_dict(), path)"
        )
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _damaged(path: Path, error: Exception) -> ModelFileError:
    refusal = _REFUSAL.search(str(error))
    said = f"it refers to {refusal[1]}" if refusal else str(error).strip().partition("\n")[0]
    reason = said[:200].encode("unicode_escape").decode()
    return ModelFileError(
        f"{path}: cannot read the checkpoint of PyTorch ({reason}): it is damaged, or contains more than tensors; "
        "fetch the file again, or save only the weights: torch.save(network.state_dict(), path)"
    )
