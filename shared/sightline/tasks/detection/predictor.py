"""Predicts detections in pixels of the image, with exactly the preprocessing of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from sightline.data.detections import Detections
from sightline.data.loading.transforms import fit_image
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import as_tensor
from sightline.tasks.base import MAX_PIXELS, Predictor
from sightline.tasks.detection.postprocessing import detections_of
from sightline.tasks.input_image import rgb_image


class DetectionPredictor(Predictor):
    """A predictor of boxes, and masks if the network has them, that uses a detector of torchvision.

    Args:
        network: The detector; it is set to evaluation mode.
        card: Description of the network.
        device: Where the network is.
    """

    def __init__(self, network: nn.Module, card: ModelCard, device: torch.device) -> None:
        self.card = card
        self._network = network.to(device).eval()
        self._device = device

    def predict(
        self,
        image: Image.Image | npt.NDArray[np.uint8] | Path | str,
        image_id: int = 0,
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> Detections:
        """Detect objects in one image; see :meth:`sightline.tasks.base.Predictor.predict`."""
        image = rgb_image(image, max_pixels)
        fitted, placement = fit_image(image, self.card.preprocessing.image_size)
        with torch.inference_mode():
            (found,) = self._network([as_tensor(np.array(fitted)).to(self._device)])
        outputs = {name: values.cpu().numpy() for name, values in found.items()}
        if "masks" in outputs:
            outputs["masks"] = outputs["masks"][:, 0]
        return detections_of(outputs, placement, image.size, self.card.category_ids, image_id)
