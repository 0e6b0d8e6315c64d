"""The package ``rfdetr``, which builds and publishes RF-DETR; imported on use, because it takes seconds."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image


@contextmanager
def quiet_package() -> Iterator[None]:
    """Import from the package, and build its networks, without side effects.

    A module of the package raises Pillow's limit for the size of images for the whole process.  Its log says that no
    weights are downloaded, and transformers warns about versions of torch.
    """
    limit, log = Image.MAX_IMAGE_PIXELS, logging.getLogger("rf-detr")
    was_disabled = log.disabled
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, log.disabled = limit, was_disabled


def package_settings(size: str, *, masks: bool) -> Any:  # noqa: ANN401  (a class of the package, which has no types)
    """The class of the package's settings for a size of RF-DETR.

    Args:
        size: ``nano``, ``small``, ``medium`` or ``large``.
        masks: Whether it predicts masks.
    """
    with quiet_package():
        from rfdetr import config

    return getattr(config, f"RFDETR{'Seg' * masks}{size.capitalize()}Config")
