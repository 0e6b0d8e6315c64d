"""Samples for training: one split of a COCO document and its image folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.config.augmentation import Change
from sightline.config.loading import Loading
from sightline.data.formats.coco import CocoAnnotation, CocoDocument, CocoImage, Segmentation
from sightline.data.images import read_image, read_reduced
from sightline.data.label_schema import keypoint_schema
from sightline.data.loading.augmentations.pipeline import Augmenter
from sightline.data.loading.bottleneck import LoadingFacts
from sightline.data.loading.cache import ImageCache
from sightline.data.loading.disk_cache import DiskCache
from sightline.data.loading.geometry import scaling
from sightline.data.loading.order import Order
from sightline.data.loading.sampling import image_weights
from sightline.data.loading.scene import Objects, Scene
from sightline.data.loading.transforms import fitted_size, resize
from sightline.data.loading.workers import available_cpus
from sightline.errors import DataError

CACHE_FOLDER = "images"
"""Folder of the cache on disk, below the work folder."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One training image at the size of the network's input.

    Attributes:
        image_id: The COCO id of the image.
        image: uint8 [height, width, 3], RGB.
        boxes_xyxy: float32 [N, 4], input pixels.
        labels: int64 [N], from 1 in the order of the document's categories; 0 is the background.
        segmentations: N outlines in input pixels; masks are drawn as late as possible.
        keypoints: float32 [N, K, 3]: x, y in input pixels, and visibility (0: not labeled); None if the training set
            has none.
        image_labels: float32 [C]: the share of each category that applies to the whole image, 0 to 1, in the order of
            the document's categories; None if the training set has no label sets.
        seed: Seed of all random choices that the network makes for this sample, 0 to 2**63 - 1.
        canvas_hw: Height and width in pixels that all images of the iteration are padded to, over all processes, so
            that the result does not depend on how a batch is divided; a smaller one has no effect.
    """

    image_id: int
    image: npt.NDArray[np.uint8]
    boxes_xyxy: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    segmentations: list[Segmentation]
    keypoints: npt.NDArray[np.float32] | None = None
    image_labels: npt.NDArray[np.float32] | None = None
    seed: int = 0
    canvas_hw: tuple[int, int] = (0, 0)


class CocoDataset:
    """The images of one split, resized to the network's input and augmented.

    A sample is a pure function of the seed, the position in the training and the image, so that a resumed training uses
    exactly the samples that it would have used without the interruption, whatever the number of processes and workers.

    Args:
        document: The split, as returned by :func:`sightline.data.formats.coco.read_coco`.
        root: The folder that the document's file names are relative to.
        image_size: Longer side of the network's input, pixels.
        max_pixels: Images with more pixels are rejected.
        augmentation: The random changes, in their order.
        seed: Seed of the random changes.
        loading: Settings of caches and sampling.
        cache_folder: Folder for decoded images if ``loading.cache_disk_gb`` is set; None: no cache on disk.

    Raises:
        ConfigurationError: An augmentation of the user's own cannot be used.
    """

    def __init__(
        self,
        document: CocoDocument,
        root: Path,
        *,
        image_size: int,
        max_pixels: int,
        augmentation: Sequence[Change],
        seed: int,
        loading: Loading,
        cache_folder: Path | None = None,
    ) -> None:
        self._images = document["images"]
        self._root = root
        self._labels = {category["id"]: index + 1 for index, category in enumerate(document["categories"])}
        self._annotations: dict[int, list[CocoAnnotation]] = defaultdict(list)
        for annotation in document["annotations"]:
            self._annotations[annotation["image_id"]].append(annotation)
        self._image_size = image_size
        self._max_pixels = max_pixels
        self._classified = bool(document.get("label_sets"))
        schema = keypoint_schema(document)
        self._num_keypoints = len(schema.names) if schema else 0
        names = [category["name"] for category in document["categories"]]
        self._augment = Augmenter(augmentation, names, schema.flip_pairs if schema else ())
        self._seed = seed
        self._loading = loading
        sizes = (self.fitted_size(index)[::-1] for index in range(len(self._images)))
        self._cache = ImageCache(sizes, int(loading.cache_ram_gb * 2**30))
        on_disk = cache_folder if loading.cache_disk_gb else None
        self._disk_cache = None if on_disk is None else DiskCache(on_disk, int(loading.cache_disk_gb * 2**30))

    def __len__(self) -> int:
        return len(self._images)

    @property
    def largest_image_bytes(self) -> int:
        """An upper limit for the size of a sample's image, bytes."""
        return 3 * self._image_size**2

    @property
    def image_bytes(self) -> int:
        """The size of all images as samples, bytes."""
        return sum(3 * height * width for height, width in map(self.fitted_size, range(len(self))))

    @cached_property
    def pass_length(self) -> int:
        """Number of samples in a pass over the images, in which sampling may repeat some."""
        return self.order(1, 0).length

    def loading_facts(self, workers: int) -> LoadingFacts:
        """What determines the speed of the data path, for :func:`sightline.data.loading.bottleneck.data_wait_advice`.

        Args:
            workers: Number of workers of this process.
        """
        limits = [int(size * 2**30) for size in (self._loading.cache_ram_gb, self._loading.cache_disk_gb)]
        return LoadingFacts(workers, available_cpus(), self.image_bytes, *limits)

    def order(self, batch_size: int, seed: int) -> Order:
        """The order of the images for batches of this size, by the settings for sampling."""
        classes = [
            [self._labels[one["category_id"]] for one in self._annotations[image["id"]]]
            + [self._labels[category_id] for category_id in image.get("labels", ())]
            for image in self._images
        ]
        aspects = np.array([image["width"] / image["height"] for image in self._images])
        return Order(
            len(self),
            batch_size=batch_size,
            seed=seed,
            weights=image_weights(self._loading.sampling, classes, self._loading.repeat_threshold),
            aspects=aspects if self._loading.group_by_aspect else None,
        )

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
            StepError: An augmentation of the user's own failed.
        """
        random = np.random.default_rng((self._seed, position, self._images[index]["id"]))
        seed = int(random.integers(2**63))
        scene = self._augment(self.scene(index), random, lambda: self.scene(int(random.integers(len(self)))))
        objects = scene.objects
        return Sample(
            image_id=self._images[index]["id"],
            image=np.array(scene.image),
            boxes_xyxy=objects.boxes_xyxy.astype(np.float32),
            labels=objects.labels,
            segmentations=objects.outlines,
            keypoints=None if objects.keypoints is None else objects.keypoints.astype(np.float32),
            image_labels=scene.image_labels,
            seed=seed,
            canvas_hw=canvas_hw,
        )

    def scene(self, index: int) -> Scene:
        """The image at ``index`` at the size of the network's input, without random changes.

        Raises:
            DataError: The image cannot be read, or its size differs from the document.
        """
        listed = self._images[index]
        height, width = self.fitted_size(index)
        objects = self._objects(self._annotations[listed["id"]])
        placed = objects.moved(scaling(width / listed["width"], height / listed["height"]), width, height)
        return Scene.of(self._fitted(index, width, height), placed, self._image_labels(listed))

    def _image_labels(self, listed: CocoImage) -> npt.NDArray[np.float32] | None:
        if not self._classified:
            return None
        labels = np.zeros(len(self._labels), dtype=np.float32)
        labels[[self._labels[category_id] - 1 for category_id in listed["labels"]]] = 1.0
        return labels

    def _objects(self, annotations: Sequence[CocoAnnotation]) -> Objects:
        boxes = np.array([annotation["bbox"] for annotation in annotations], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([self._labels[annotation["category_id"]] for annotation in annotations], dtype=np.int64)
        outlines = [annotation["segmentation"] for annotation in annotations]
        if not self._num_keypoints:
            return Objects(labels, boxes, outlines)
        keypoints = np.array([annotation["keypoints"] for annotation in annotations], dtype=np.float64)
        return Objects(labels, boxes, outlines, keypoints.reshape(-1, self._num_keypoints, 3))

    def _fitted(self, index: int, width: int, height: int) -> Image.Image:
        """An image at the size of the network's input, from the caches if it is there."""
        image = self._cache.get(index, width, height)
        if image is not None:
            return image
        digest = self._images[index]["sha256"]
        on_disk = self._disk_cache if digest else None
        image = on_disk.get(digest, width, height) if on_disk else None
        if image is None:
            image = resize(self._decoded(self._images[index]), width, height)
            if on_disk:
                on_disk.add(digest, image)
        self._cache.add(index, image)
        return image

    def _decoded(self, listed: CocoImage) -> Image.Image:
        """An image of the document, decoded at a reduced size if that is at least twice the needed size."""
        image, size = read_reduced(self._root / listed["file_name"], self._max_pixels, 2 * self._image_size)
        _require_size(listed, size)
        return image


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
    _require_size(image, picture.size)
    return picture


def _require_size(listed: CocoImage, size: tuple[int, int]) -> None:
    if size != (listed["width"], listed["height"]):
        raise DataError(
            f"{listed['file_name']}: {size[0]} x {size[1]} pixels, but the training set was recorded with "
            f"{listed['width']} x {listed['height']}; the file has changed since, so record it as a new version"
        )
