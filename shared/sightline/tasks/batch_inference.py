"""Predictions for the images of a split: batches on the device while threads decode the next images."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image

from sightline.data.formats.coco import CocoImage
from sightline.data.loading.dataset import read_listed_image
from sightline.data.loading.transforms import fitted_size
from sightline.errors import StepError
from sightline.logs import Progress
from sightline.tasks.base import Predictor

_log = logging.getLogger(__name__)


def predict_images(
    predictor: Predictor, listed: Sequence[CocoImage], root: Path, *, max_pixels: int, description: str
) -> list[Any]:
    """Predict on listed images, in batches of the size that suits the predictor's device.

    A batch consists of images with the same size at the network's input.  At most twice as many decoded images as fit a
    batch are in memory.

    Args:
        predictor: The model.
        listed: Images of a COCO document.
        root: The folder that their file names are relative to.
        max_pixels: Images with more pixels are rejected.
        description: The operation, for the progress bar.

    Returns:
        The predictions, in the order of the images.

    Raises:
        DataError: An image cannot be read, or its size differs from the document.
        StepError: The memory of the GPU does not suffice for a single image.
    """

    def input_size(place: int) -> tuple[int, int]:
        image = listed[place]
        return fitted_size(image["width"], image["height"], predictor.card.preprocessing.image_size)

    def read(place: int) -> Image:
        return read_listed_image(root, listed[place], max_pixels)

    order = sorted(range(len(listed)), key=input_size)
    found: dict[int, Any] = {}
    device = _Device(predictor)
    threads = min(predictor.batch_size, os.cpu_count() or 1)
    with Progress(description, total=len(listed), unit="images") as progress, ThreadPoolExecutor(threads) as pool:
        images = _read_ahead(pool, read, order, predictor.batch_size)
        for _, of_one_size in groupby(order, input_size):
            while places := list(islice(of_one_size, device.batch_size)):
                batch = list(islice(images, len(places)))
                predictions = device.predict(batch, [listed[place]["id"] for place in places])
                found.update(zip(places, predictions, strict=True))
                progress.advance(len(places))
    return [found[place] for place in range(len(listed))]


def _read_ahead(
    pool: ThreadPoolExecutor, read: Callable[[int], Image], places: Iterable[int], ahead: int
) -> Iterator[Image]:
    """The images in order; while one is used, up to ``ahead`` others are being read or are waiting."""
    waiting: deque[Future[Image]] = deque()
    for place in places:
        waiting.append(pool.submit(read, place))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class _Device:
    """Predicts batches, and halves them when the memory of the device does not suffice."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.batch_size = predictor.batch_size

    def predict(self, images: Sequence[Image], image_ids: Sequence[int]) -> list[Any]:
        """The predictions for a batch."""
        try:
            return self._predictor.predict_batch(images, image_ids)
        except torch.OutOfMemoryError as error:
            if len(images) == 1:
                raise StepError(
                    f"image {image_ids[0]}: the memory of the GPU does not suffice to predict on a single image; free "
                    f"the GPU from other processes, or set a smaller model.image_size ({str(error).splitlines()[0]})"
                ) from error
        # Not in the except clause, in which the exception keeps the tensors of the failed attempt alive.
        size = self.batch_size = (len(images) + 1) // 2
        _log.warning("out of GPU memory with %d images at once; predicting on %d at once", len(images), size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return [*self.predict(images[:size], image_ids[:size]), *self.predict(images[size:], image_ids[size:])]
