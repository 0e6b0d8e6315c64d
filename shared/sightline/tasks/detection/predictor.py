"""Predicts detections in pixels of the image, with exactly the preprocessing of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from sightline.data.detections import Detections
from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.loading.transforms import fit_image
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import as_tensor
from sightline.tasks.base import MAX_PIXELS, Predictor
from sightline.tasks.input_image import rgb_image


class DetectionPredictor(Predictor):
    """A predictor of boxes that uses a detector of torchvision.

    Args:
        network: The detector; it is set to evaluation mode.
        card: Description of the network.
        device: Where the network is.
    """

    def __init__(self, network: nn.Module, card: ModelCard, device: torch.device) -> None:
        self.card = card
        self._network = network.to(device).eval()
        self._device = device
        self._category_ids = np.array((0, *card.category_ids), dtype=np.int64)

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
        boxes = found["boxes"].cpu().numpy() / np.array([placement.scale_x, placement.scale_y] * 2, dtype=np.float32)
        boxes = boxes.clip(0, np.array([image.width, image.height] * 2, dtype=np.float32))
        labels = found["labels"].cpu().numpy()
        keep = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (labels > 0))  # label 0 is the background
        return Detections(
            image_id=image_id,
            boxes_xyxy=boxes[keep],
            scores=found["scores"].cpu().numpy()[keep],
            category_ids=self._category_ids[labels[keep]],
            masks=self._masks(found, boxes, keep, image.height, image.width),
        )

    def _masks(
        self,
        found: dict[str, torch.Tensor],  # noqa: ARG002
        boxes_xyxy: npt.NDArray[np.float32],  # noqa: ARG002
        keep: npt.NDArray[np.intp],  # noqa: ARG002
        height: int,  # noqa: ARG002
        width: int,  # noqa: ARG002
    ) -> list[RunLengthEncoding] | None:
        """The masks of the detections at ``keep``; None if the network has no masks.

        Args:
            found: Output of the network.
            boxes_xyxy: Boxes of all detections, float32 [N, 4], in pixels of the image.
            keep: Indices of the detections to keep, int64 [M].
            height: Height of the image in pixels.
            width: Width of the image in pixels.
        """
        return None
