"""Published weights of RF-DETR: their files, digests and class names, as the package ``rfdetr`` knows them."""

from __future__ import annotations

from typing import Any

from sightline.config.published_weights import RFDETR, rfdetr_names
from sightline.models.rfdetr_package import package_settings, quiet_package

_SEGMENTATION = "seg-"


def rfdetr_file(name: str) -> Any:  # noqa: ANN401  (rfdetr's ModelWeightAsset, which has no types)
    """The file with published weights: ``filename``, ``url``, and ``md5_hash``, which may be None.

    Args:
        name: One of :func:`~sightline.config.published_weights.rfdetr_names`.
    """
    with quiet_package():
        from rfdetr.assets.model_weights import ModelWeights

    size = name.removeprefix(RFDETR)
    settings = package_settings(size.removeprefix(_SEGMENTATION), masks=size.startswith(_SEGMENTATION))
    return ModelWeights.from_filename(settings.model_fields["pretrain_weights"].default)


def rfdetr_with_digest(md5: str) -> str:
    """The name of the published weights whose file has this MD5; empty if there are none."""
    return next((name for name in rfdetr_names() if rfdetr_file(name).md5_hash == md5), "")


def rfdetr_classes() -> tuple[str, ...]:
    """The class names of labels 1, 2, ...: the category ids of COCO, some of which have no class and are ``N/A``."""
    with quiet_package():
        from rfdetr.assets.coco_classes import COCO_CLASSES

    return tuple(COCO_CLASSES.get(label, "N/A") for label in range(1, max(COCO_CLASSES) + 1))
