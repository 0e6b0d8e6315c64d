"""Writes class folders: ``<class>/<image>``, below the split if images have splits."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.config.data import Data
from sightline.data.annotations import LabelledImage
from sightline.data.tools.class_folder import folder_names
from sightline.data.tools.writers.files import WrittenDataset, distinct, names_of, own_group
from sightline.errors import DataError


def write_folders(images: Sequence[LabelledImage], data: Data) -> WrittenDataset:
    """Write every image to the folder of its class: its label, or else the class that all its objects have.

    Args:
        images: The images.
        data: The classes.

    Raises:
        DataError: The name of a class cannot be that of a folder.
    """
    if unusable := [name for name in data.classes if "/" in name]:
        raise DataError(
            f"classes {', '.join(unusable)}: class folders have one label set with plain names; convert to coco"
        )
    folder_names(data.classes)
    written = WrittenDataset()
    taken: set[str] = set()
    for image, name in zip(images, names_of(images), strict=True):
        classes = set(image.labels) or {instance.label for instance in image.instances}
        if len(classes) != 1:
            reason = "without a class" if not classes else "with several classes"
            written.losses[f"images {reason} (left out)"] += 1
            continue
        (label,) = classes
        rest = name.removeprefix(f"{image.split}/").split("/")
        file_name = "_".join([*(part for part in rest[:-1] if part != label), rest[-1]])
        path = "/".join(filter(None, (image.split, label, file_name)))
        written.images[distinct(path, taken)] = image
        written.losses["objects (only the class of the image is kept)"] += len(image.instances)
        written.losses["keypoints of objects"] += sum(one.keypoints is not None for one in image.instances)
        written.losses["groups of images"] += own_group(image)
    written.losses = +written.losses
    return written
