"""Gives a network its initial weights, as ``model.weights`` says."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from sightline.config.network import Network
from sightline.config.published_weights import AUTO, FASTER_RCNN, KEYPOINT_RCNN, MASK_RCNN, is_address
from sightline.errors import ModelFileError
from sightline.files import file_sha256
from sightline.models.model_file import METADATA_KEY, card_of
from sightline.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from sightline.models.safetensors_file import is_pickle, read_metadata
from sightline.models.weights.check import chosen_name
from sightline.models.weights.loading import ClassRows, Weights, kept_labels, load_tensors
from sightline.models.weights.naming import OwnNames, Tensors, body_prefix, in_our_names, without_epsilon
from sightline.models.weights.sources import detector_classes, full_name, normalization, recognized
from sightline.models.weights.stored import cached_weights, origin_of
from sightline.models.weights.table import LoadedWeights
from sightline.models.weights.tensors import read_tensors
from sightline.storage.uris import fetch, path_of
from sightline.temporary_folder import temporary_folder

_WITHOUT_EPSILON = {MASK_RCNN, FASTER_RCNN, KEYPOINT_RCNN}

_log = logging.getLogger(__name__)


def load_weights(
    network: nn.Module,
    model: Network,
    classes: Sequence[str],
    class_rows: Mapping[str, ClassRows],
    *,
    cache: Path,
) -> LoadedWeights:
    """Load the weights given by ``model.weights`` into a network.

    Args:
        network: From ``build_network`` of the task.
        model: The section ``model`` of the configuration; ``is_pretrained`` must be true.
        classes: The classes of the network, in their order.
        class_rows: The tensors of the network with rows for each class (:attr:`sightline.tasks.base.Task.class_rows`).
        cache: Folder for published weights; created if it does not exist.

    Raises:
        ConfigurationError: There are no such weights.
        StepError: They cannot be fetched.
        StorageError: They cannot be fetched from a bucket.
        ModelFileError: They cannot be read, or do not fit the network.
    """
    if is_address(model.weights):
        weights = _from_address(model.weights, network)
    else:
        name = full_name(chosen_name(model))
        _warn_of_normalization(name)
        weights = _from_file(cached_weights(name, cache, model.weights_mirror), name, network)
    tensors = load_tensors(network, weights, classes, class_rows, required=body_prefix(network))
    kept = tuple(classes[label - 1] for label in kept_labels(classes, weights.classes)) if class_rows else ()
    loaded = LoadedWeights(weights.source, weights.sha256, tensors, kept)
    chosen = f"{AUTO}: " if model.weights == AUTO else ""
    _log.info("weights %s%s: %s", chosen, loaded.source, loaded.summary())
    return loaded


def _warn_of_normalization(name: str) -> None:
    mean, std = normalization(name)
    if (mean, std) != (IMAGENET_MEAN, IMAGENET_STD):
        _log.warning(
            "the weights %s were trained on images with mean %s and std %s; here images have mean %s and std %s, which "
            "training has to make up for",
            *(name, mean, std, IMAGENET_MEAN, IMAGENET_STD),
        )


def _from_address(address: str, network: nn.Module) -> Weights:
    if "://" not in address or address.startswith("file:"):
        return _from_file(path_of(address), address, network)
    with temporary_folder("weights") as folder:
        return _from_file(fetch(address, Path(folder)), address, network)


def _from_file(path: Path, source: str, network: nn.Module) -> Weights:
    """The weights in a file, with the names of the network.

    Class names and the form of the norms are known for model files of Sightline, and for published weights.
    """
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        raise ModelFileError(
            f"model.weights: cannot read {path} ({error.strerror or error}); give the path of a file with weights"
        ) from error
    metadata = {} if is_pickle(path) else read_metadata(path)
    tensors: Tensors = read_tensors(path)
    if METADATA_KEY in metadata:
        own = network.in_own_names(tensors) if isinstance(network, OwnNames) else tensors
        return Weights(source, sha256, own, card_of(metadata, path).classes)
    origin = origin_of(metadata, path)
    name = origin.name if origin else recognized(path, sha256, tensors)
    classes = origin.classes if origin else detector_classes(name)
    sha256 = origin.source_sha256 if origin else sha256
    try:
        named = in_our_names(tensors, network)
    except ModelFileError as error:
        raise ModelFileError(f"{source}: {error}") from error
    return Weights(source, sha256, without_epsilon(named) if name in _WITHOUT_EPSILON else named, classes)
