"""The graph of a classifier for export, and its agreement with the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from sightline.errors import ConfigurationError
from sightline.tasks.classification.network import ClassifierNetwork
from sightline.tasks.classification.prediction import Classification
from sightline.tasks.detection.graph.boxes import Normalization

if TYPE_CHECKING:
    from sightline.tasks.exporters import ExportFormat

PROBABILITY_TOLERANCE = 1e-3


class ClassifierGraph(nn.Module):
    """Computes the probabilities that the network gives in evaluation mode.

    Args:
        network: The classifier.
    """

    outputs = ("probabilities",)
    translations: ClassVar[dict[Any, Any]] = {}
    any_size = False

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__()
        assert isinstance(network.mean, torch.Tensor)  # noqa: S101
        assert isinstance(network.std, torch.Tensor)  # noqa: S101
        self.normalization = Normalization(network.mean, network.std)
        self.network = network

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Classify images.

        Args:
            images: uint8 [B, 3, H, W], padded on the right and at the bottom.
            sizes: Height and width of each image, int64 [B, 2].

        Returns:
            Probabilities float32 [B, C], the label sets one after another.
        """
        side = self.network.settings.image_size
        square = self.normalization(images, sizes)[:, :, :side, :side]
        square = functional.pad(square, (0, side - square.shape[3], 0, side - square.shape[2]))
        return (self.network.probabilities(self.network(square)),)


def export_graph(network: nn.Module, format_: ExportFormat) -> ClassifierGraph:  # noqa: ARG001
    """The graph of a classifier.

    Args:
        network: The network, in evaluation mode.
        format_: The format that the graph is made for; it makes no difference.

    Raises:
        ConfigurationError: The network is no classifier.
    """
    if not isinstance(network, ClassifierNetwork):
        raise ConfigurationError(f"{type(network).__name__} cannot be exported; expected a classifier of Sightline")
    return ClassifierGraph(network)


@dataclass(frozen=True, slots=True)
class ClassificationAgreement:
    """The agreement of an exported classifier with its network.

    Attributes:
        images: Number of images.
        probability: Largest difference of probabilities.
    """

    images: int = 0
    probability: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the differences are within the tolerance."""
        return self.probability <= PROBABILITY_TOLERANCE

    @property
    def advice(self) -> str:
        """Nothing: every image has probabilities."""
        return ""

    def line(self) -> str:
        """The agreement in one line."""
        return (
            f"{self.images} image{'s'[: self.images != 1]}; largest difference of probabilities {self.probability:.1g} "
            f"(tolerance {PROBABILITY_TOLERANCE:g})"
        )


def compare(triples: Iterable[tuple[Classification, Classification, float]]) -> ClassificationAgreement:
    """Compare classifications of the network and of the exported model.

    Args:
        triples: Of the network, of the exported model, and input pixels per pixel of the image.
    """
    images, largest = 0, 0.0
    for expected, found, _ in triples:
        images += 1
        for one, other in zip(expected.label_sets, found.label_sets, strict=True):
            largest = max(largest, float(abs(one.probabilities - other.probabilities).max()))
    return ClassificationAgreement(images, largest)
