"""Predicts detections in pixels of the image, with exactly the preprocessing of training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
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

GPU_BATCH = 8
"""Images at once on a GPU; on a CPU a single image is as fast, and needs the least memory."""


class DetectionPredictor(Predictor):
    """A predictor of boxes, and masks if the network has them, that uses a detector of torchvision.

    Attributes:
        postprocess: Makes detections from the output of the network for an image.

    Args:
        network: The detector; it is set to evaluation mode.
        card: Description of the network.
        device: Where the network is.
    """

    postprocess: Callable[..., Detections] = staticmethod(detections_of)

    def __init__(self, network: nn.Module, card: ModelCard, device: torch.device) -> None:
        self.card = card
        self._network = network.to(device).eval()
        self._device = device
        self.batch_size = 1 if device.type == "cpu" else GPU_BATCH

    def predict(
        self,
        image: Image.Image | npt.NDArray[np.uint8] | Path | str,
        image_id: int = 0,
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> Detections:
        """Detect objects in one image; see :meth:`sightline.tasks.base.Predictor.predict`."""
        return self.predict_batch([rgb_image(image, max_pixels)], [image_id])[0]

    def predict_batch(self, images: Sequence[Image.Image], image_ids: Sequence[int]) -> list[Detections]:
        """Detect objects in several images; see :meth:`sightline.tasks.base.Predictor.predict_batch`.

        Only images with the same size at the network's input are computed together: padding would change the result of
        an image.
        """
        fitted = [fit_image(image, self.card.preprocessing.image_size) for image in images]
        together: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, (image, _) in enumerate(fitted):
            together[image.size].append(place)
        detections: dict[int, Detections] = {}
        for places in together.values():
            inputs = [as_tensor(np.array(fitted[place][0])).to(self._device) for place in places]
            with torch.inference_mode():
                outputs = self._network(inputs)
            for place, found in zip(places, outputs, strict=True):
                values = {name: tensor.cpu().numpy() for name, tensor in found.items()}
                if "masks" in values:
                    values["masks"] = values["masks"][:, 0]
                detections[place] = self.postprocess(
                    values, fitted[place][1], images[place].size, self.card.category_ids, image_ids[place]
                )
        return [detections[place] for place in range(len(images))]
