"""From an image to detections in its own coordinates, with exactly the preprocessing of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from sightline.data.coco import RunLengthEncoding
from sightline.data.detections import Detections
from sightline.data.rasterizer import encode_mask
from sightline.data.transforms import fit_image
from sightline.models.device import choose_device
from sightline.models.model_file import ModelCard, load_model
from sightline.models.preprocessing import as_tensor

MASK_THRESHOLD = 0.5


class Predictor:
    """A network with everything needed to use it.

    Example::

        predictor = Predictor.load(Path("best.safetensors"))
        detections = predictor.predict(Image.open("plate.png").convert("RGB"))

    Args:
        network: Mask R-CNN; it is put into evaluation.
        card: What is known of it.
        device: Where the network is.

    Attributes:
        card: What is known of the network: classes, preprocessing, where it came from.
    """

    def __init__(self, network: nn.Module, card: ModelCard, device: torch.device) -> None:
        self.card = card
        self._network = network.to(device).eval()
        self._device = device
        self._category_ids = np.array((0, *card.category_ids), dtype=np.int64)

    @classmethod
    def load(
        cls, path: Path, device: str = "auto", task: str | None = None, classes: Sequence[str] | None = None
    ) -> Self:
        """The model in a model file.

        Args:
            path: The file.
            device: ``auto``, ``cpu`` or ``cuda``.
            task: The task that it must be for; None: any.
            classes: The classes that it must know, in their order; None: any.

        Raises:
            ModelFileError: The file cannot be used, or was made for another task or other classes.
            ConfigurationError: The device is not there.
        """
        network, card = load_model(path, task=task, classes=classes)
        return cls(network, card, choose_device(device))

    def predict(self, image: Image.Image, image_id: int = 0) -> Detections:
        """What the network finds in one image.

        Args:
            image: RGB, any size.
            image_id: The COCO id that the detections are to carry.

        Returns:
            Detections in the image's own pixels, the surest first.
        """
        fitted, placement = fit_image(image, self.card.preprocessing.image_size)
        with torch.inference_mode():
            (found,) = self._network([as_tensor(np.array(fitted)).to(self._device)])
        boxes = found["boxes"].cpu().numpy() / np.array([placement.scale_x, placement.scale_y] * 2, dtype=np.float32)
        boxes = boxes.clip(0, np.array([image.width, image.height] * 2, dtype=np.float32))
        keep = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        masks = found["masks"][:, 0].cpu().numpy()
        return Detections(
            image_id=image_id,
            boxes_xyxy=boxes[keep],
            scores=found["scores"].cpu().numpy()[keep],
            category_ids=self._category_ids[found["labels"].cpu().numpy()[keep]],
            masks=[paste_mask(masks[index], boxes[index], image.height, image.width) for index in keep],
        )


def paste_mask(
    probabilities: npt.NDArray[np.float32], box_xyxy: npt.NDArray[np.float32], height: int, width: int
) -> RunLengthEncoding:
    """A mask, predicted in its box, as a run-length encoding of the whole image.

    A pixel belongs to the mask where the probability, interpolated bilinearly at the pixel's centre, is at least one
    half.  The box keeps its fractions of pixels; masks are encoded one by one, so that an image never holds them all
    as bitmaps.

    Args:
        probabilities: float32 [M, M], 0 to 1; cell (i, j) stands for the j-th of M columns and the i-th of M rows of
            the box.
        box_xyxy: float32 [4], pixels.
        height: Of the image.
        width: Of the image.
    """
    mask = np.zeros((height, width), dtype=np.uint8, order="F")
    left, top = np.floor(box_xyxy[:2]).astype(int)
    right, bottom = np.minimum(np.ceil(box_xyxy[2:]).astype(int), (width, height))
    rows = _interpolation(top, bottom, box_xyxy[1], box_xyxy[3], len(probabilities))
    columns = _interpolation(left, right, box_xyxy[0], box_xyxy[2], len(probabilities))
    mask[top:bottom, left:right] = rows @ probabilities @ columns.T >= MASK_THRESHOLD
    return encode_mask(mask)


def _interpolation(first: int, stop: int, begin: float, end: float, cells: int) -> npt.NDArray[np.float32]:
    """Linear interpolation as a matrix float32 [stop - first, cells]; outside the box's cells lies zero."""
    centres = (np.arange(first, stop, dtype=np.float32) + 0.5 - begin) / (end - begin) * cells - 0.5
    weights: npt.NDArray[np.float32] = 1 - np.abs(centres[:, None] - np.arange(cells, dtype=np.float32))
    return weights.clip(min=0).astype(np.float32)
