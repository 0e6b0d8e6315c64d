"""Settings of keypoints: the section ``model`` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sightline.config.labels import Keypoints
from sightline.config.network import DERIVED, Detector, Network
from sightline.config.published_weights import KEYPOINT_RCNN, TIMM, body_weights
from sightline.config.section import Address, PositiveFloat, PositiveInt

HRNET = "hrnet_"
STRIDE = 4
"""Input pixels of a crop per cell of its heat maps."""

TRUTH, WHOLE_IMAGE = "truth", "image"

_Keypoints = Annotated[
    Keypoints,
    Field(
        description="Filled in from data.keypoints, so that a model file says what it predicts",
        json_schema_extra=DERIVED,
    ),
]


def _crop_side(side: int) -> int:
    if side % 32:
        raise ValueError(f"a multiple of 32, but it is {side}")
    return side


def _full_name(backbone: object) -> object:
    """HRNets are models of timm."""
    return TIMM + backbone if isinstance(backbone, str) and backbone.startswith(HRNET) else backbone


CropSide = Annotated[int, Field(ge=32, le=1024), AfterValidator(_crop_side)]


class KeypointDetector(Detector):
    """Keypoint R-CNN."""

    keypoint_channels: Annotated[int, Field(ge=16, le=1024)] = Field(512, description="Channels of the keypoint head")
    keypoint_layers: Annotated[int, Field(ge=1, le=16)] = Field(8, description="Convolutions of the keypoint head")
    keypoints: _Keypoints = Keypoints()

    @property
    def published_weights(self) -> str:
        """Keypoint R-CNN trained on COCO if its body and pyramid fit, else the weights of the body."""
        return KEYPOINT_RCNN if self.has_published_pyramid else super().published_weights


class HeatmapNetwork(Network):
    """A top-down network: it predicts a heat map of each keypoint for a crop around each object.

    HRNet (Sun et al., 2019, arXiv 1902.09212), or a body with three deconvolutions (Xiao et al., 2018, arXiv
    1804.06208).
    """

    network: Literal["heatmap"] = Field(
        "heatmap",
        description="heatmap: a heat map of each keypoint, in crops of the objects; left out or empty: Keypoint R-CNN",
        json_schema_extra={"default": "left out"},
    )
    backbone: Annotated[str, BeforeValidator(_full_name)] = Field(
        "timm:hrnet_w32",
        description="hrnet_w32, hrnet_w48, or with three deconvolutions: resnet18_gn, a torchvision backbone, or "
        "timm:<name>",
    )
    crop_hw: tuple[CropSide, CropSide] = Field((256, 192), description="Height and width of a crop, in pixels")
    deconvolution_channels: Annotated[int, Field(ge=16, le=1024, multiple_of=16)] = Field(
        256, description="Channels of the deconvolutions; HRNet has none"
    )
    map_sigma: PositiveFloat = Field(2.0, description="Sigma of the true heat maps, in cells of 4 x 4 pixels of a crop")
    box_padding: Annotated[float, Field(ge=1.0, le=3.0)] = Field(
        1.25, description="Size of a crop relative to the object's box"
    )
    sampled_objects: PositiveInt = Field(8, description="Maximum number of objects per image to train on at a time")
    flip_test: bool = Field(True, description="Whether predictions are averaged with those for the mirrored crop")
    boxes: Address = Field(
        TRUTH,
        description="Boxes of the objects to predict on: truth (those of the split that a model is measured on), image "
        "(the whole image is one object), or a detector of Sightline: its path or URI, or champion:<dataset>",
    )
    keypoints: _Keypoints = Keypoints()

    @property
    def published_weights(self) -> str:
        """The name of the published weights of its body; empty if there are none."""
        return body_weights(self.backbone)

    @property
    def is_high_resolution(self) -> bool:
        """Whether the body is an HRNet, which has features with a stride of 4 throughout."""
        return self.backbone.startswith(TIMM + HRNET)

    @property
    def detector(self) -> str:
        """The address of the detector that finds the objects; empty if there is none."""
        return "" if self.boxes in {TRUTH, WHOLE_IMAGE} else self.boxes
