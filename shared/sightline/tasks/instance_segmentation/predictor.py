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

from sightline.data.detections import Detections
from sightline.data.formats.coco import RunLengthEncoding
from sightline.data.images import read_image
from sightline.data.loading.transforms import fit_image
from sightline.data.rasterizer import encode_mask
from sightline.errors import DataError
from sightline.models.device import choose_device
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import as_tensor
from sightline.tasks.instance_segmentation.loading import load_model

MASK_THRESHOLD = 0.5

MAX_PIXELS = 50_000_000
"""Of an image file, where nobody says otherwise; as ``data.max_pixels`` has it."""


class Predictor:
    """A network with everything needed to use it.

    Example::

        predictor = Predictor.load(Path("best.safetensors"))
        detections = predictor.predict("plate.png").above(0.5)

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
        cls, path: str | Path, device: str = "auto", task: str | None = None, classes: Sequence[str] | None = None
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
        network, card = load_model(Path(path), task=task, classes=classes)
        return cls(network, card, choose_device(device))

    @property
    def class_names(self) -> dict[int, str]:
        """COCO category id -> the name of the class."""
        return dict(zip(self.card.category_ids, self.card.classes, strict=True))

    def predict(
        self,
        image: Image.Image | npt.NDArray[np.uint8] | Path | str,
        image_id: int = 0,
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> Detections:
        """What the network finds in one image.

        Args:
            image: The path of an image file, which is turned as its EXIF orientation says; or pixels, which are taken
                as they are: a Pillow image, or uint8 [height, width, 3] RGB or [height, width] grey.
            image_id: The COCO id that the detections are to carry.
            max_pixels: An image file with more pixels is refused.

        Returns:
            Detections in the image's own pixels, the surest first.

        Raises:
            DataError: The file cannot be read, or the array is none of an image.
        """
        image = _rgb(image, max_pixels)
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


def _rgb(image: Image.Image | npt.NDArray[np.uint8] | Path | str, max_pixels: int) -> Image.Image:
    if isinstance(image, (str, Path)):
        return read_image(Path(image), max_pixels, "max_pixels")
    if isinstance(image, np.ndarray):
        colours = image.shape[2:] in {(), (3,)}
        if image.dtype != np.uint8 or image.ndim not in {2, 3} or not colours or not image.size:
            raise DataError(
                f"an array of {image.dtype} {list(image.shape)} is not an image; expected uint8 [height, width, 3] RGB "
                "or [height, width] grey, with at least one pixel"
            )
        image = Image.fromarray(np.ascontiguousarray(image))
    return image if image.mode == "RGB" else image.convert("RGB")


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
