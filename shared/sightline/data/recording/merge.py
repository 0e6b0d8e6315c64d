"""From labeled images and their splits to one COCO document per split."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.data.annotations import Instance, LabelledImage
from sightline.data.formats.coco import CocoAnnotation, CocoDocument, validate_coco
from sightline.data.recording.filling import SPLITS, SplitName
from sightline.errors import DataError


def file_name(dataset: str, image: LabelledImage) -> str:
    """Where an image lies in a checkout of the training tag; an embedded one is extracted, any other stays in place."""
    return f"{'annotations' if image.embedded is None else 'training'}/{dataset}/{image.image}"


def merge(
    images: Sequence[LabelledImage], splits: Sequence[SplitName], classes: Sequence[str], dataset: str
) -> dict[SplitName, CocoDocument]:
    """Write every image into the document of its split.

    Image and annotation ids run from 1 through all documents in the order of the images, so that an id never means two
    images of a dataset version.

    Args:
        images: In a fixed order.
        splits: One entry an image.
        classes: Class names; category ids are 1, 2, ... in this order.
        dataset: Its name, which is part of the file names.

    Raises:
        DataError: A document is not valid: two JSON files name one image, or a label is not among the classes.
    """
    _refuse_shared_images(images)
    category_ids = {name: number for number, name in enumerate(classes, start=1)}
    documents: dict[SplitName, CocoDocument] = {
        split: {
            "images": [],
            "annotations": [],
            "categories": [{"id": number, "name": name} for name, number in category_ids.items()],
            "info": {"dataset": dataset, "split": split},
        }
        for split in SPLITS
    }
    annotation_id = 0
    for image_id, (image, split) in enumerate(zip(images, splits, strict=True), start=1):
        document = documents[split]
        document["images"].append(
            {
                "id": image_id,
                "file_name": file_name(dataset, image),
                "width": image.width,
                "height": image.height,
                "sha256": image.sha256,
                "group": image.group,
            }
        )
        for instance in image.instances:
            annotation_id += 1
            document["annotations"].append(_annotation(annotation_id, image_id, category_ids[instance.label], instance))
    return {split: validate_coco(document, f"{split}.json") for split, document in documents.items()}


def _annotation(annotation_id: int, image_id: int, category_id: int, instance: Instance) -> CocoAnnotation:
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": list(instance.bbox),
        "area": instance.area,
        "segmentation": instance.segmentation,
        "iscrowd": 0,
    }


def _refuse_shared_images(images: Sequence[LabelledImage]) -> None:
    first: dict[str, str] = {}
    for image in images:
        other = first.setdefault(image.image, image.file)
        if other != image.file:
            raise DataError(
                f"{other} and {image.file} both annotate the image {image.image}; keep one of them, or copy the image"
            )
