"""Settings of classification: the section ``model`` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sightline.config.network import DERIVED, ImageSize, Network
from sightline.config.published_weights import RESNET_WEIGHTS, TIMM, body_weights
from sightline.config.section import Address
from sightline.tasks.classification.loss_settings import LabelSetHead, Losses

Width = Annotated[int, Field(ge=8, le=512)]

RANDOM_WEIGHTS = "none (random), the path or URI of a model to start from, or champion:<dataset>"


def _with_source(name: str) -> str:
    """The name of a backbone; ``timm:`` is added to the names that are not those of torchvision's ResNets.

    Example:
        >>> _with_source("efficientnet_b0"), _with_source("resnet50"), _with_source("timm:resnet50")
        ('timm:efficientnet_b0', 'resnet50', 'timm:resnet50')
    """
    return name if name in RESNET_WEIGHTS or name.startswith(TIMM) else f"{TIMM}{name}"


class Classifier(Network):
    """A network that classifies whole images: one head for each label set on a common body."""

    image_size: ImageSize = Field(224, description="Length of the longer side of the network's input, in pixels")
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0, description="Share of the features before the heads that training leaves out at random"
    )
    loss: Losses = Field(
        (),
        description="Terms of the loss, such as [{name: focal, gamma: 2}, {name: f1, weight: 0.5}]; empty: "
        "cross_entropy, or binary_cross_entropy for label sets with any number of classes",
    )
    label_sets: tuple[LabelSetHead, ...] = Field(
        (), description="Set by training: the label sets of the training set", json_schema_extra=DERIVED
    )


class TimmClassifier(Classifier):
    """A classifier of timm, or a ResNet of torchvision."""

    network: Literal["timm"] = Field("timm", description="Kind of the network", json_schema_extra={"default": "timm"})
    backbone: Annotated[str, AfterValidator(_with_source)] = Field(
        "efficientnet_b0", description="A torchvision ResNet such as resnet50, or any model of timm"
    )

    @property
    def published_weights(self) -> str:
        """The name of the ImageNet weights of the backbone."""
        return body_weights(self.backbone)


class Cnn(Classifier):
    """A small residual network with batch norms, for random initial weights and few images."""

    network: Literal["cnn"] = Field("cnn", description="Kind of the network")
    weights: Address = Field("none", description=RANDOM_WEIGHTS)
    image_size: ImageSize = Field(128, description="Length of the longer side of the network's input, in pixels")
    width: Width = Field(32, description="Channels of the first stage; each further stage doubles them")
    stages: Annotated[int, Field(ge=1, le=5)] = Field(4, description="Stages; each halves the resolution")
    blocks: Annotated[int, Field(ge=1, le=8)] = Field(1, description="Residual blocks of each stage")


class TinyVgg(Classifier):
    """TinyVGG, as in CNN Explainer (Wang et al., 2020): two blocks of two convolutions."""

    network: Literal["tiny_vgg"] = Field("tiny_vgg", description="Kind of the network")
    weights: Address = Field("none", description=RANDOM_WEIGHTS)
    image_size: ImageSize = Field(64, description="Length of the longer side of the network's input, in pixels")
    width: Width = Field(16, description="Channels of the convolutions")


class Poster(Classifier):
    """Image features guided by features of landmarks, with cross-attention in windows, as in POSTER++."""

    network: Literal["poster"] = Field("poster", description="Kind of the network")
    weights: Address = Field("none", description=RANDOM_WEIGHTS)
    image_size: ImageSize = Field(112, description="Length of the longer side of the network's input, in pixels")
    width: Width = Field(32, multiple_of=8, description="Channels of the finest of the three levels; doubled twice")
    attention_heads: Literal[1, 2, 4, 8] = Field(4, description="Heads of the cross-attention")
    window: Annotated[int, Field(ge=2, le=16)] = Field(7, description="Side of the attention windows in cells")
