"""Classifies images, with exactly the preprocessing of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from sightline.data.loading.transforms import fit_image
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import as_tensor
from sightline.tasks.base import MAX_PIXELS, Predictor
from sightline.tasks.classification.network import ClassifierNetwork
from sightline.tasks.classification.prediction import Classification, answers_of
from sightline.tasks.input_image import rgb_image

CPU_BATCH, GPU_BATCH = 8, 64


class ClassificationPredictor(Predictor):
    """A predictor that uses a classifier.

    Args:
        network: The classifier; it is set to evaluation mode.
        card: Description of the network.
        device: Device for the network.
    """

    def __init__(self, network: nn.Module, card: ModelCard, device: torch.device) -> None:
        assert isinstance(network, ClassifierNetwork)  # noqa: S101
        self.card = card
        self._network = network.to(device).eval()
        self._device = device
        self.batch_size = CPU_BATCH if device.type == "cpu" else GPU_BATCH
        self._label_sets = [(len(one.classes), one.multiple) for one in network.label_sets]
        ids = dict(zip(card.classes, card.category_ids, strict=True))
        self._thresholds = {ids[name]: value for name, value in card.thresholds.items() if name in ids}

    def predict(
        self,
        image: Image.Image | npt.NDArray[np.uint8] | Path | str,
        image_id: int = 0,
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> Classification:
        """Classify one image; see :meth:`sightline.tasks.base.Predictor.predict`."""
        return self.predict_batch([rgb_image(image, max_pixels)], [image_id])[0]

    def predict_batch(self, images: Sequence[Image.Image], image_ids: Sequence[int]) -> list[Classification]:
        """Classify several images of any sizes; see :meth:`sightline.tasks.base.Predictor.predict_batch`."""
        if not images:
            return []
        side = self.card.preprocessing.image_size
        inputs = [as_tensor(np.array(fit_image(image, side)[0])).to(self._device) for image in images]
        with torch.inference_mode():
            found = self._network.probabilities(self._network(self._network.batch(inputs))).cpu().numpy()
        return [
            Classification(image_id, answers_of(row, self._label_sets, self.card.category_ids, self._thresholds))
            for row, image_id in zip(found, image_ids, strict=True)
        ]
