"""Samples for training: one split of a COCO document and its image folder."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.config.augmentation import Augmentation
from sightline.data.formats.coco import CocoAnnotation, CocoDocument, CocoImage, Segmentation
from sightline.data.images import read_image
from sightline.data.loading.transforms import Placement, augment, fit_image, fitted_size
from sightline.errors import DataError

SMALLEST_SIDE = 0.01
"""Input pixels; a thinner box has zero width in float32 and would stop the training."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One training image at the size of the network's input.

    Attributes:
        image_id: The COCO id of the image.
        seed: Seed of all random choices that the network makes for this sample, 0 to 2**63 - 1.
        canvas_hw: Height and width that all images of the iteration are padded to, over all processes, so that the
            result does not depend on how a batch is divided; pixels, at least those of the image.
        image: uint8 [height, width, 3], RGB.
        boxes_xyxy: float32 [N, 4], input pixels.
        labels: int64 [N], from 1 in the order of the document's categories; 0 is the background.
        segmentations: N outlines in input pixels; masks are drawn as late as possible.
    """

    image_id: int
    seed: int
    canvas_hw: tuple[int, int]
    image: npt.NDArray[np.uint8]
    boxes_xyxy: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    segmentations: list[Segmentation]


class CocoDataset:
    """The images of one split, resized to the network's input and augmented.

    A sample is a pure function of the seed, the position in the training and the image, so that a resumed training uses
    exactly the samples that it would have used without the interruption, whatever the number of processes and workers.

    Args:
        document: The split, as returned by :func:`sightline.data.formats.coco.read_coco`.
        root: The folder that the document's file names are relative to.
        image_size: Longer side of the network's input, pixels.
        max_pixels: Images with more pixels are rejected.
        augmentation: Strengths of the random changes.
        seed: Seed of the random changes.
        cache_bytes: Memory limit for resized images.
    """

    def __init__(
        self,
        document: CocoDocument,
        root: Path,
        *,
        image_size: int,
        max_pixels: int,
        augmentation: Augmentation,
        seed: int,
        cache_bytes: int,
    ) -> None:
        self._images = document["images"]
        self._root = root
        self._labels = {category["id"]: index + 1 for index, category in enumerate(document["categories"])}
        self._annotations: dict[int, list[CocoAnnotation]] = defaultdict(list)
        for annotation in document["annotations"]:
            self._annotations[annotation["image_id"]].append(annotation)
        self._image_size = image_size
        self._max_pixels = max_pixels
        self._augmentation = augmentation
        self._seed = seed
        self._cache: dict[int, tuple[Image.Image, Placement]] = {}
        self._cache_left = cache_bytes

    def __len__(self) -> int:
        return len(self._images)

    def fitted_size(self, index: int) -> tuple[int, int]:
        """Height and width of the sample of an image, pixels: known without reading it."""
        width, height = fitted_size(self._images[index]["width"], self._images[index]["height"], self._image_size)
        return height, width

    def sample(self, index: int, position: int, canvas_hw: tuple[int, int] = (0, 0)) -> Sample:
        """The image at ``index`` (from 0) as it is used at a position of the training (from 0).

        Args:
            index: Number of the image.
            position: See :mod:`sightline.data.loading.order`; with the seed, it determines all random changes.
            canvas_hw: Size that the images of the batch are padded to; by default that of the image.

        Raises:
            DataError: The image cannot be read, or its size differs from the document.
        """
        fitted, fit = self._fitted(index)
        rng = np.random.default_rng((self._seed, position, self._images[index]["id"]))
        seed = int(rng.integers(2**63))
        image, change = augment(fitted, self._augmentation, rng)
        annotations = self._annotations[self._images[index]["id"]]
        boxes = np.array([annotation["bbox"] for annotation in annotations], dtype=np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        boxes = change.boxes(fit.boxes(boxes))
        keep = np.flatnonzero((boxes[:, 2:] - boxes[:, :2]).min(axis=1) > SMALLEST_SIDE)
        labels = np.array([self._labels[annotation["category_id"]] for annotation in annotations], dtype=np.int64)
        return Sample(
            image_id=self._images[index]["id"],
            seed=seed,
            canvas_hw=(max(canvas_hw[0], image.height), max(canvas_hw[1], image.width)),
            image=np.array(image),
            boxes_xyxy=boxes[keep],
            labels=labels[keep],
            segmentations=[
                change.segmentation(fit.segmentation(annotations[position]["segmentation"])) for position in keep
            ],
        )

    def _fitted(self, index: int) -> tuple[Image.Image, Placement]:
        if index in self._cache:
            return self._cache[index]
        fitted = fit_image(read_listed_image(self._root, self._images[index], self._max_pixels), self._image_size)
        size = 3 * fitted[0].width * fitted[0].height
        if size <= self._cache_left:
            self._cache[index] = fitted
            self._cache_left -= size
        return fitted


def read_listed_image(root: Path, image: CocoImage, max_pixels: int) -> Image.Image:
    """Read an image of a COCO document as RGB.

    Args:
        root: The folder that the document's file names are relative to.
        image: The entry of the image.
        max_pixels: An image with more pixels is rejected.

    Raises:
        DataError: The image cannot be read, or its size differs from the document.
    """
    picture = read_image(root / image["file_name"], max_pixels)
    if picture.size != (image["width"], image["height"]):
        raise DataError(
            f"{image['file_name']}: {picture.width} x {picture.height} pixels, but the training set was recorded with "
            f"{image['width']} x {image['height']}; the file has changed since, so record it as a new version"
        )
    return picture
