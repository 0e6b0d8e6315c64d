"""Checks of a classifier before anything is built or trained; without torch, except for models of timm."""

from __future__ import annotations

import importlib
import importlib.util

from sightline.config.network import Network
from sightline.config.published_weights import RESNET_WEIGHTS, TIMM
from sightline.config.schema import Config
from sightline.errors import ConfigurationError
from sightline.tasks.classification.loss_settings import loss_faults
from sightline.tasks.classification.settings import Classifier, TimmClassifier


def check_classifier(config: Config) -> None:
    """Reject a backbone that cannot be built, and losses that do not fit the label sets.

    Without timm, as in the image of resolve, the names of its models are accepted, and checked by train.

    Raises:
        ConfigurationError: With all faults.
    """
    model = config.model
    assert isinstance(model, Classifier)  # noqa: S101
    faults = list(loss_faults(model.loss, {name: one.multiple for name, one in config.data.label_sets.items()}))
    try:
        check_body(model)
    except ConfigurationError as error:
        faults.append(str(error))
    if faults:
        raise ConfigurationError("\n  ".join(faults))


def check_body(model: Network) -> None:
    """Reject a backbone that timm does not have, or that cannot compute images of this size.

    Raises:
        ConfigurationError: It cannot be built.
    """
    if not isinstance(model, TimmClassifier) or model.backbone in RESNET_WEIGHTS:
        return
    if model.backbone.startswith(TIMM) and importlib.util.find_spec("timm"):
        importlib.import_module("sightline.tasks.classification.networks.timm_body").check_timm(model)
