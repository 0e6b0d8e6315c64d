"""Classifiers of timm and ResNets of torchvision, without their last layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import timm
import torch
from torch import nn
from torchvision.models import resnet

from sightline.config.published_weights import RESNET_WEIGHTS, TIMM
from sightline.errors import ConfigurationError
from sightline.names import unknown_name
from sightline.tasks.classification.settings import TimmClassifier

_FAULTS = (RuntimeError, ValueError, TypeError, AssertionError, LookupError, AttributeError)


def build_body(model: TimmClassifier) -> tuple[nn.Module, int]:
    """The body given by ``model.backbone`` with random weights, and its number of features.

    Raises:
        ConfigurationError: There is no such backbone, or it cannot be built.
    """
    if model.backbone in RESNET_WEIGHTS:
        network = getattr(resnet, model.backbone)(weights=None)
        features = int(network.fc.in_features)
        network.fc = nn.Identity()
        return network, features
    create = creator(model)
    try:
        body = create()
    except _FAULTS as error:
        raise _unusable(model, error) from error
    return body, _features(body)


def _features(body: Any) -> int:  # noqa: ANN401  (a model of timm, which has no common type)
    """The number of features of a model of timm before its last layer; some compute others there than before."""
    return int(getattr(body, "head_hidden_size", None) or body.num_features)


def creator(model: TimmClassifier) -> Callable[..., nn.Module]:
    """Creates the body by timm; takes more arguments of ``timm.create_model``.

    Raises:
        ConfigurationError: timm has no such model.
    """
    name = model.backbone.removeprefix(TIMM)
    if name not in timm.list_models():
        known = [*RESNET_WEIGHTS, *timm.list_models()]
        shown = f"torchvision's ResNets ({', '.join(RESNET_WEIGHTS)}) and all models of timm (timm.list_models())"
        raise ConfigurationError(f"model.backbone: {unknown_name('backbone', name, known, shown)}")
    described = timm.get_pretrained_cfg(name)
    has_fixed_size = described is not None and described.fixed_input_size
    options: dict[str, Any] = {"img_size": model.image_size} if has_fixed_size else {}
    return partial(timm.create_model, name, num_classes=0, **options)


def check_timm(model: TimmClassifier) -> None:
    """Check that a model of timm can be used, by computing features without allocating memory.

    Raises:
        ConfigurationError: There is no such model, or it cannot compute images of this size.
    """
    with torch.device("meta"):
        body, features = build_body(model)
        try:
            found = body.eval()(torch.empty(2, 3, model.image_size, model.image_size))
        except NotImplementedError:
            return  # an operation that cannot be computed without memory says nothing about the model
        except _FAULTS as error:
            raise _unusable(model, error) from error
    if found.shape != (2, features):
        raise _unusable(model, ValueError(f"its features have the shape {list(found.shape)}"))


def _unusable(model: TimmClassifier, error: Exception) -> ConfigurationError:
    reason = str(error).strip().partition("\n")[0]
    return ConfigurationError(
        f"model.backbone: {model.backbone} cannot classify images of {model.image_size} pixels ({reason}); set another "
        "model.image_size, or choose another model, such as resnet50 or efficientnet_b0"
    )
