"""Merges labeled images into one COCO document per split."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.config.data import Data
from sightline.data.annotations import Instance, LabelledImage, SplitName
from sightline.data.formats.coco import CocoAnnotation, CocoDocument, CocoImage, validate_coco
from sightline.data.label_schema import categories_of, label_sets_of
from sightline.data.recording.filling import SPLITS
from sightline.errors import DataError


def file_name(dataset: str, image: LabelledImage) -> str:
    """Path of an image in a checkout of the training tag; embedded images are extracted, others are not moved."""
    return f"{'annotations' if image.embedded is None else 'training'}/{dataset}/{image.image}"


def merge(
    images: Sequence[LabelledImage], splits: Sequence[SplitName], data: Data, dataset: str
) -> dict[SplitName, CocoDocument]:
    """Add every image to the document of its split.

    Image and annotation ids are unique across all documents, from 1 in the order of the images.

    Args:
        images: The images in a fixed order.
        splits: The split of each image.
        data: Classes, whose category ids are 1, 2, ... in their order, label sets and keypoints.
        dataset: Name of the dataset, which is part of the file names.

    Raises:
        DataError: Two JSON files refer to one image, or a label is not among the classes.
    """
    _refuse_shared_images(images)
    category_ids = {name: number for number, name in enumerate(data.classes, start=1)}
    documents: dict[SplitName, CocoDocument] = {
        split: {
            "images": [],
            "annotations": [],
            "categories": categories_of(data),
            "info": {"dataset": dataset, "split": split},
            **label_sets_of(data),
        }
        for split in SPLITS
    }
    annotation_id = 0
    for image_id, (image, split) in enumerate(zip(images, splits, strict=True), start=1):
        document = documents[split]
        entry = _image(image_id, file_name(dataset, image), image)
        if data.label_sets:
            entry["labels"] = [category_ids[name] for name in image.labels]
        if flags := _flags(image):
            entry["flags"] = flags
        document["images"].append(entry)
        for instance in image.instances:
            annotation_id += 1
            document["annotations"].append(
                coco_annotation(annotation_id, image_id, category_ids[instance.label], instance)
            )
    return {split: validate_coco(document, f"{split}.json") for split, document in documents.items()}


def _image(image_id: int, name: str, image: LabelledImage) -> CocoImage:
    return {
        "id": image_id,
        "file_name": name,
        "width": image.width,
        "height": image.height,
        "sha256": image.sha256,
        "group": image.group,
    }


def _flags(image: LabelledImage) -> list[str]:
    """The flags of an image that do not mean one of its classes."""
    classes = {*image.labels, *(label.rpartition("/")[2] for label in image.labels)}
    return sorted(set(image.flags) - classes)


def coco_annotation(annotation_id: int, image_id: int, category_id: int, instance: Instance) -> CocoAnnotation:
    """An object as an annotation of a COCO document."""
    annotation: CocoAnnotation = {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": list(instance.bbox),
        "area": instance.area,
        "segmentation": instance.segmentation,
        "iscrowd": 0,
    }
    if instance.keypoints is not None:
        annotation["keypoints"] = [value for keypoint in instance.keypoints for value in keypoint]
        annotation["num_keypoints"] = sum(visibility > 0 for _, _, visibility in instance.keypoints)
    if instance.flags:
        annotation["flags"] = list(instance.flags)
    return annotation


def _refuse_shared_images(images: Sequence[LabelledImage]) -> None:
    first: dict[str, str] = {}
    for image in images:
        other = first.setdefault(image.image, image.file)
        if other != image.file:
            raise DataError(
                f"{other} and {image.file} both annotate the image {image.image}; keep one of them, or copy the image"
            )
