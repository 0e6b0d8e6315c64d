"""Writes COCO: one file, or one for each split; it holds everything that an image in memory has."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.config.data import Data
from sightline.data.annotations import LabelledImage
from sightline.data.formats.coco import CocoDocument, CocoImage, coco_bytes
from sightline.data.label_schema import categories_of, label_sets_of
from sightline.data.recording.merge import coco_annotation
from sightline.data.tools.writers.files import WrittenDataset, names_of

UNSPLIT = "annotations"
"""Name of the file with the images that have no split."""


def write_coco(images: Sequence[LabelledImage], data: Data) -> WrittenDataset:
    """Write ``annotations.json``, or ``train.json``, ``val.json`` and ``test.json``, and the images to ``images/``.

    Args:
        images: The images.
        data: Classes, whose category ids are 1, 2, ... in their order, label sets and keypoints.
    """
    written = WrittenDataset()
    documents: dict[str, CocoDocument] = {}
    category_ids = {name: number for number, name in enumerate(data.classes, start=1)}
    annotation_id = 0
    for image_id, (image, name) in enumerate(zip(images, names_of(images), strict=True), start=1):
        key = image.split or UNSPLIT
        if key not in documents:
            documents[key] = _document(data)
        path = f"images/{name}"
        written.images[path] = image
        documents[key]["images"].append(_image(image_id, path, image, data, category_ids))
        for instance in image.instances:
            annotation_id += 1
            documents[key]["annotations"].append(
                coco_annotation(annotation_id, image_id, category_ids[instance.label], instance)
            )
    written.texts = {f"{key}.json": coco_bytes(document).decode() for key, document in documents.items()}
    return written


def _document(data: Data) -> CocoDocument:
    document: CocoDocument = {"images": [], "annotations": [], "categories": categories_of(data)}
    if data.label_sets:
        document["label_sets"] = label_sets_of(data)["label_sets"]
    return document


def _image(image_id: int, path: str, image: LabelledImage, data: Data, category_ids: dict[str, int]) -> CocoImage:
    entry: CocoImage = {
        "id": image_id,
        "file_name": path,
        "width": image.width,
        "height": image.height,
        "sha256": image.sha256,
        "group": image.group,
    }
    if data.label_sets:
        entry["labels"] = [category_ids[name] for name in image.labels]
    return entry
