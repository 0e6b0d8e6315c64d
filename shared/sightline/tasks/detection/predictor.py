"""Predicts detections in pixels of the image, with exactly the preprocessing of training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from sightline.data.detections import Detections
from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.loading.transforms import Placement, fit_image
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import as_tensor
from sightline.tasks.base import MAX_PIXELS, Predictor
from sightline.tasks.input_image import rgb_image

GPU_BATCH = 8
"""Images at once on a GPU; on a CPU a single image is as fast, and needs the least memory."""


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
        self.batch_size = 1 if device.type == "cpu" else GPU_BATCH
        self._category_ids = np.array((0, *card.category_ids), dtype=np.int64)

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
                placement = fitted[place][1]
                detections[place] = self._detections(found, placement, images[place].size, image_ids[place])
        return [detections[place] for place in range(len(images))]

    def _detections(
        self, found: dict[str, torch.Tensor], placement: Placement, size: tuple[int, int], image_id: int
    ) -> Detections:
        """The output of the network for one image, in pixels of the image, which has this width and height."""
        width, height = size
        scales = np.array([placement.scale_x, placement.scale_y] * 2, dtype=np.float32)
        predicted: npt.NDArray[np.float32] = found["boxes"].cpu().numpy()
        boxes = (predicted / scales).clip(0, np.array([width, height] * 2, dtype=np.float32))
        labels = found["labels"].cpu().numpy()
        keep = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (labels > 0))  # label 0 is the background
        return Detections(
            image_id=image_id,
            boxes_xyxy=boxes[keep],
            scores=found["scores"].cpu().numpy()[keep],
            category_ids=self._category_ids[labels[keep]],
            masks=self._masks(found, boxes, keep, height, width),
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
