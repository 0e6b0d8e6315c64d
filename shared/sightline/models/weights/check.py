"""Checks of ``model.weights`` before anything is downloaded; without torch, except for names of timm."""

from __future__ import annotations

import importlib
import importlib.util

from sightline.config.network import Network
from sightline.config.published_weights import (
    AUTO,
    CHAMPION,
    RFDETR,
    TIMM,
    is_address,
    rfdetr_names,
    torchvision_names,
)
from sightline.errors import ConfigurationError
from sightline.names import unknown_name

_OTHERWISE = "the path or URI of a file, champion:<dataset>, auto or none"


def chosen_name(model: Network) -> str:
    """The name of the published weights that a network starts from.

    Args:
        model: Settings whose ``weights`` are neither the address of a file nor ``none``.

    Raises:
        ConfigurationError: Nothing is published for the network, or the name is unknown.
    """
    name = model.weights
    if name == AUTO:
        if not model.published_weights:
            backbone = getattr(model, "backbone", "this network")
            raise ConfigurationError(
                f"model.weights: auto, but no weights are published for {backbone}; set model.weights=none to start "
                "from random weights, or to the path or URI of a file"
            )
        return model.published_weights
    if name.startswith(TIMM):
        _require_same_model(name, str(getattr(model, "backbone", "")))
    elif name not in (*torchvision_names(), *rfdetr_names()):
        raise unknown_weights(name)
    if name.startswith(RFDETR) != model.published_weights.startswith(RFDETR):
        raise ConfigurationError(
            f"model.weights: {name} are weights of another network than that of the recipe; use weights of "
            f"{model.published_weights or 'the same network'}, {_OTHERWISE}"
        )
    return name


def unknown_weights(name: str) -> ConfigurationError:
    """The error for a name that is neither one of torchvision's weights nor of RF-DETR's."""
    names = [*torchvision_names(), *rfdetr_names()]
    shown = f"{', '.join(names)}, timm:<name>.<tag>, {_OTHERWISE}"
    return ConfigurationError(f"model.weights: {unknown_name('weights', name, names, shown)}")


def check_weights(model: Network) -> None:
    """Reject weights that are not published; the addresses of files and champions are accepted.

    If timm is installed, names of its weights are looked up; if not, as in the image of resolve, they are accepted and
    checked by train.

    Raises:
        ConfigurationError: There are no such weights.
    """
    if not model.is_pretrained or is_address(model.weights) or model.weights.startswith(CHAMPION):
        return
    name = chosen_name(model)
    if name.startswith(TIMM) and importlib.util.find_spec("timm"):
        importlib.import_module("sightline.models.weights.sources").full_name(name)


def _require_same_model(name: str, backbone: str) -> None:
    """Require that weights of a timm model are for the model that is the backbone."""
    if name.partition(".")[0] != backbone:
        raise ConfigurationError(
            f"model.weights: {name} are weights of another model than model.backbone={backbone}; use weights of "
            f"{backbone if backbone.startswith(TIMM) else 'torchvision'}, {_OTHERWISE}"
        )
