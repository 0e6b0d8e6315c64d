"""Settings common to the networks of several tasks; each task adds its own (``tasks/<name>/declaration.py``)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue

from sightline.config.published_weights import AUTO, DETECTOR_BODY, DETECTOR_CHANNELS, NONE, body_weights
from sightline.config.section import Address, Fraction, PositiveFloat, PositiveInt, Section

_FITTED_LEVELS = 5
"""Number of levels of the feature pyramid if the anchor sizes are fitted."""

_MOST_LEVELS = 16

RegionCount = Annotated[int, Field(gt=0, le=100_000)]


ImageSize = Annotated[int, Field(ge=32, le=4096)]


def _anchor_sizes(value: object) -> object:
    """Reject values other than ``auto`` or whole numbers, with one message."""
    sizes = value if isinstance(value, list | tuple) else [value]
    whole = [isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes]
    if value != "auto" and not (isinstance(value, list | tuple) and all(whole) and len(sizes) <= _MOST_LEVELS):
        raise ValueError("auto, or one whole number for each level of the pyramid, such as [32, 64, 128, 256, 512]")
    return value


DERIVED: dict[str, JsonValue] = {"derived": True}
"""Marks a setting that training copies from the training set, so that nobody needs to set it."""


class Network(Section):
    """Settings of the network; those that only one task has are marked."""

    weights: Address = Field(
        AUTO,
        description="Weights to start from: auto (published weights that fit the network), none (random), the name of "
        "published weights (of torchvision, rfdetr:<size>, or timm:<name>.<tag>), the path or URI of a file, or "
        "champion:<dataset>",
    )
    weights_mirror: Address = Field(
        "", description="Folder or URI that sightline model mirror has filled with published weights; empty: internet"
    )
    image_size: ImageSize = Field(800, description="Length of the longer side of the network's input, in pixels")

    @property
    def is_pretrained(self) -> bool:
        """Whether training starts from weights that were trained before; empty means the same as ``none``."""
        return self.weights not in {"", NONE}

    @property
    def published_weights(self) -> str:
        """The name of the published weights that fit this network best; empty if there are none."""
        return ""


class Detector(Network):
    """A two-stage detector with a feature pyramid: Faster R-CNN or Mask R-CNN."""

    backbone: str = Field("resnet50", description="resnet18_gn, a torchvision backbone, or timm:<name>")
    fpn_channels: Annotated[int, Field(ge=16, le=1024)] = Field(256, description="Channels of the feature pyramid")
    head_channels: Annotated[int, Field(ge=16, le=4096)] = Field(1024, description="Width of the box head")
    anchor_sizes: Annotated[tuple[PositiveInt, ...] | Literal["auto"], BeforeValidator(_anchor_sizes)] = Field(
        (32, 64, 128, 256, 512),
        description="Anchor size of each pyramid level, in input pixels; auto: five sizes, fitted to the train split",
    )
    anchor_ratios: tuple[PositiveFloat, ...] = Field(
        (0.5, 1.0, 2.0), max_length=16, description="Aspect ratios of the anchors, height / width"
    )
    proposals: RegionCount = Field(1000, description="Proposals per image that are passed to the heads")
    sampled_proposals: RegionCount = Field(512, description="Proposals per image that the heads are trained on")
    positive_share: Fraction = Field(0.25, description="Maximum fraction of positives among the sampled proposals")
    max_detections: RegionCount = Field(100, description="Detections kept per image")
    score_threshold: Fraction = Field(0.05, description="Minimum score of a detection")
    nms_iou: Fraction = Field(0.5, description="IoU threshold of non-maximum suppression")
    compile: bool = Field(
        False, description="Whether training compiles body and pyramid with torch.compile; needs a C++ compiler"
    )
    channels_last: bool = Field(
        False, description="Whether body and pyramid compute with channels last, which suits the tensor cores of GPUs"
    )

    @property
    def pyramid_levels(self) -> int:
        """Number of levels of the feature pyramid: one per anchor size."""
        return _FITTED_LEVELS if self.anchor_sizes == "auto" else len(self.anchor_sizes)

    @property
    def published_weights(self) -> str:
        """The name of the published weights of its body; empty if there are none."""
        return body_weights(self.backbone)

    @property
    def has_published_pyramid(self) -> bool:
        """Whether body and pyramid have the shapes of torchvision's detectors."""
        return (self.backbone, self.fpn_channels) == (DETECTOR_BODY, DETECTOR_CHANNELS)
