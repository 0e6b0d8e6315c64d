"""RF-DETR as small as its package allows, without changing its code: few layers and few queries."""

from importlib.util import find_spec

import pytest
from pydantic import Field

from sightline.models.rfdetr_package import quiet_package
from sightline.tasks.detection.transformer_settings import RfDetr, RfDetrWithMasks

SETTINGS = {"object_detection": RfDetr, "instance_segmentation": RfDetrWithMasks}
_LAYERS = 3


def require_rfdetr():
    """Skip without the package."""
    if find_spec("rfdetr") is None:
        pytest.skip("rfdetr is not installed")


def settings(task, **changes):
    """The section ``model`` for the smallest size, with random weights and an image size of 96."""
    return SETTINGS[task](
        **{"weights": "none", "image_size": 96, "score_threshold": 0.0, "max_detections": 20} | changes
    )


def shrink(monkeypatch):
    """Let the smallest size have a body of 3 layers, a decoder of one, and one group of 10 queries."""
    with quiet_package():
        from rfdetr import config
        from rfdetr.models.backbone import dinov2

    def smaller(kind):
        class Tiny(kind):
            num_queries: int = 10
            num_select: int = 10
            group_detr: int = 1
            dec_layers: int = 1
            out_feature_indexes: list[int] = Field([_LAYERS])
            mask_downsample_ratio: int = 2

        return Tiny

    class Training(config.SegmentationTrainConfig):
        mask_point_sample_ratio: int = 2  # pixels per random point; the masks of tiny images have few pixels

    monkeypatch.setattr(config, "SegmentationTrainConfig", Training)
    for name in ("RFDETRNanoConfig", "RFDETRSegNanoConfig"):
        monkeypatch.setattr(config, name, smaller(getattr(config, name)))
    original = dinov2.get_config
    monkeypatch.setattr(dinov2, "get_config", lambda *size: original(*size) | {"num_hidden_layers": _LAYERS})
