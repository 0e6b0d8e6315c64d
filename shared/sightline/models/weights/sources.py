"""Published weights of torchvision, timm and RF-DETR: their files, digests and class names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sightline.config.published_weights import DETECTORS, RFDETR, TIMM, rfdetr_names, torchvision_names
from sightline.errors import ConfigurationError, ModelFileError
from sightline.files import file_md5, file_sha256
from sightline.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from sightline.models.weights.check import unknown_weights
from sightline.models.weights.rfdetr_files import rfdetr_classes, rfdetr_file, rfdetr_with_digest
from sightline.models.weights.tensors import download_file, read_tensors
from sightline.names import unknown_name

_DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RFDETR_TENSOR = "class_embed.bias"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class Download:
    """Published weights, just downloaded.

    Attributes:
        tensors: The tensors with the publisher's names.
        source: URL of the file.
        sha256: SHA-256 of the file.
        classes: Names of the classes of a detector: those of labels 1, 2, ...; empty if it has none.
    """

    tensors: Mapping[str, torch.Tensor]
    source: str
    sha256: str
    classes: tuple[str, ...] = ()


def full_name(name: str) -> str:
    """The complete name of published weights: for timm with the tag, which may be left out.

    Raises:
        ConfigurationError: There are no such weights.
    """
    if name.startswith(TIMM):
        configuration = _timm_configuration(name)
        return f"{TIMM}{configuration.architecture}.{configuration.tag}".rstrip(".")
    if name not in (*torchvision_names(), *rfdetr_names()):
        raise unknown_weights(name)
    return name


def normalization(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation that images had when weights were trained, RGB, of values from 0 to 1."""
    if not name.startswith(TIMM):
        return IMAGENET_MEAN, IMAGENET_STD
    configuration = _timm_configuration(name)
    return tuple(configuration.mean), tuple(configuration.std)


def download(name: str, folder: Path) -> Download:
    """Download published weights from their publisher, and verify their digest.

    Args:
        name: From :func:`full_name`.
        folder: An empty folder; the caller removes it.

    Raises:
        OSError: The server cannot be reached, or has no such file.
        ModelFileError: The file is damaged, or its publisher gives no digest.
        ConfigurationError: There are no such weights.
    """
    if name.startswith(RFDETR):
        file = rfdetr_file(name)
        return _from_url(file.url, folder, md5=file.md5_hash or "", classes=rfdetr_classes())
    if not name.startswith(TIMM):
        return _from_url(_torchvision_weights(name).url, folder, classes=detector_classes(name))
    configuration = _timm_configuration(name)
    if configuration.custom_load:
        raise ConfigurationError(f"model.weights: {name} is not published as tensors of PyTorch; choose another tag")
    if configuration.hf_hub_id:
        return _from_hub(configuration.hf_hub_id, configuration.hf_hub_filename, folder)
    return _from_url(configuration.url, folder)


def recognized(path: Path, sha256: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """The name of the detector weights of torchvision or RF-DETR in a file, by its digest; empty for others.

    Args:
        path: The file.
        sha256: Its SHA-256.
        tensors: Its tensors.
    """
    if _RFDETR_TENSOR in tensors:
        return rfdetr_with_digest(file_md5(path))
    for name in DETECTORS:
        match = _DIGEST_IN_NAME.search(_torchvision_weights(name).url)
        if match and sha256.startswith(match[1]):
            return name
    return ""


def detector_classes(name: str) -> tuple[str, ...]:
    """The class names of labels 1, 2, ... of detector weights; empty for other weights."""
    if name.startswith(RFDETR):
        return rfdetr_classes()
    return tuple(_torchvision_weights(name).meta["categories"][1:]) if name in DETECTORS else ()


def _torchvision_weights(name: str) -> Any:  # noqa: ANN401  (torchvision.models.WeightsEnum, which has no types)
    from torchvision.models import get_weight

    return get_weight(name)


def _timm_configuration(name: str) -> Any:  # noqa: ANN401  (timm.models.PretrainedCfg, which has no types)
    """The description of weights by timm.

    Raises:
        ConfigurationError: timm has no such model, no such tag, or no weights for it.
    """
    import timm

    architecture, _, tag = name.removeprefix(TIMM).partition(".")
    known = [entry.partition(".")[2] for entry in timm.list_pretrained(f"{architecture}.*")]
    try:
        configuration = timm.models.get_pretrained_cfg(name.removeprefix(TIMM), allow_unregistered=False)
    except RuntimeError as error:
        if known:
            raise ConfigurationError(
                f"model.weights: {unknown_name(f'tag of timm:{architecture}', tag, known)}"
            ) from error
        configuration = None
    if configuration is None or not (configuration.hf_hub_id or configuration.url):
        raise ConfigurationError(
            f"model.weights: timm publishes no weights of {architecture}; use none (random weights), or the path "
            "or URI of a file"
        )
    return configuration


def _from_url(url: str, folder: Path, *, md5: str = "", classes: tuple[str, ...] = ()) -> Download:
    name = url.rpartition("/")[2]
    digest = _DIGEST_IN_NAME.search(name)
    if not digest and not md5:
        raise ModelFileError(
            f"{url}: the publisher gives no digest of these weights, so they cannot be verified; download the file, "
            "and set model.weights to its path"
        )
    download_file(url, folder / name, sha256_prefix=digest[1] if digest and not md5 else "", md5=md5)
    return Download(read_tensors(folder / name), url, file_sha256(folder / name), classes)


def _from_hub(repository: str, file: str | None, folder: Path) -> Download:
    """Download from the Hugging Face Hub, which gives the SHA-256 of every large file."""
    from huggingface_hub import errors

    for name in [file] if file else _HUB_FILES:
        try:
            return _hub_file(repository, name, folder)
        except errors.EntryNotFoundError:
            continue
        except getattr(errors, "HTTPError", OSError) as error:  # some of them are not an OSError
            raise ConnectionError(str(error)) from error
    raise ModelFileError(f"https://huggingface.co/{repository} has no file {file or ' or '.join(_HUB_FILES)}")


def _hub_file(repository: str, name: str, folder: Path) -> Download:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    repository, _, revision = repository.partition("@")
    url = hf_hub_url(repository, name, revision=revision or None)
    described = get_hf_file_metadata(url)  # does not retry, so that a missing network is noticed at once
    if not _SHA256.fullmatch(described.etag or ""):
        raise ModelFileError(f"{url}: the hub gives no SHA-256 of this file, so it cannot be verified")
    path = Path(hf_hub_download(repository, name, revision=described.commit_hash, cache_dir=folder))
    found = file_sha256(path)
    if found != described.etag:
        raise ModelFileError(
            f"{url}: the download is damaged: its SHA-256 is {found}, expected {described.etag}; run the command again"
        )
    return Download(read_tensors(path), url, found)
