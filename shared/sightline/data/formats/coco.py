"""The COCO document, written by record and read by all later steps."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from sightline import strict_json
from sightline.errors import DataError
from sightline.plural import counted
from sightline.relative_path import fault_in

BOX_TOLERANCE_PIXELS = 0.01
"""Tolerance for boxes beyond the image's border, in pixels: float rounding only."""

SHOWN_FAULTS = 20


class RunLengthEncoding(TypedDict):
    """A mask as pycocotools' compressed run-length encoding.

    Attributes:
        size: ``[height, width]`` in pixels.
        counts: The encoded runs, column by column, as ASCII text.
    """

    size: list[int]
    counts: str


Segmentation = list[list[float]] | RunLengthEncoding
"""Polygons ``[[x1, y1, x2, y2, ...], ...]`` in pixels, floats kept, or a run-length encoding."""


class CocoImage(TypedDict):
    """One image.

    Attributes:
        id: From 1, unique.
        file_name: POSIX path relative to the root of the data repository's checkout.
        width: Pixels, after the EXIF orientation was applied.
        height: Pixels, after the EXIF orientation was applied.
        sha256: SHA-256 of the file, hexadecimal.
        group: Images with the same group stay in one split.
        labels: Category ids of the classes of the whole image, if the dataset has label sets.
        flags: Flags of the image that are true in labelme, sorted, if there are any.
        related: The same for all images that had to be in one split, by their groups or as near-duplicates; only in
            splits that were read for an evaluation.
    """

    id: int
    file_name: str
    width: int
    height: int
    sha256: str
    group: str
    labels: NotRequired[list[int]]
    flags: NotRequired[list[str]]
    related: NotRequired[str]


class CocoAnnotation(TypedDict):
    """One instance.

    Attributes:
        id: From 1, unique in the document.
        image_id: The image's ``id``.
        category_id: The category's ``id``.
        bbox: ``[x, y, width, height]`` in pixels: the extent of the outline, or of a mask's pixels, within the image.
            In older training sets it is the box of the pixels that labelme's converter draws, up to one pixel larger.
        area: Pixels covered, by COCO's run lengths.
        segmentation: The outline or mask.
        iscrowd: Always 0.
        keypoints: K points as ``[x1, y1, v1, ...]`` in pixels, each with its visibility (0: not labeled), if the
            dataset has keypoints.
        num_keypoints: Number of labeled keypoints, if the dataset has keypoints.
        flags: Flags of its shapes that are true in labelme, sorted, if there are any.
    """

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    segmentation: Segmentation
    iscrowd: int
    keypoints: NotRequired[list[float]]
    num_keypoints: NotRequired[int]
    flags: NotRequired[list[str]]


class CocoCategory(TypedDict):
    """One class; the fields after ``name`` exist if the dataset has keypoints.

    Attributes:
        id: From 1 in the configuration's order.
        name: Class name.
        supercategory: The supercategory; may be empty.
        keypoints: Names of the keypoints.
        skeleton: Connected keypoints, by number from 1 as in COCO.
        flip_pairs: Keypoints that become each other in a mirrored image, by number from 1.
        sigmas: The sigma of each keypoint for object keypoint similarity.
        uniform_sigmas: Whether the sigmas are the default, because none were configured.
    """

    id: int
    name: str
    supercategory: NotRequired[str]
    keypoints: NotRequired[list[str]]
    skeleton: NotRequired[list[list[int]]]
    flip_pairs: NotRequired[list[list[int]]]
    sigmas: NotRequired[list[float]]
    uniform_sigmas: NotRequired[bool]


class CocoLabelSet(TypedDict):
    """One label set of the images.

    Attributes:
        name: Name of the label set.
        category_ids: The ids of its classes.
        multiple: Whether an image has any number of these classes, or exactly one.
    """

    name: str
    category_ids: list[int]
    multiple: bool


class CocoDocument(TypedDict):
    """One split of one dataset version."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
    info: NotRequired[dict[str, str]]
    label_sets: NotRequired[list[CocoLabelSet]]


def read_coco(path: Path) -> CocoDocument:
    """Read and validate a COCO document.

    Raises:
        DataError: The file cannot be read, or does not have record's format.
    """
    try:
        return decode_coco(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read as COCO ({error.strerror or error}); check out the training tag again"
        ) from error


def decode_coco(content: bytes, where: str) -> CocoDocument:
    """Decode and validate a COCO document.

    Args:
        content: The bytes written by :func:`coco_bytes`.
        where: Name of the document in error messages.

    Raises:
        DataError: It does not have record's format.
    """
    try:
        document = strict_json.decode(content)
    except strict_json.JsonError as error:
        raise DataError(f"{where} cannot be read as COCO: {error}; check out the training tag again") from error
    return validate_coco(document, where)


def coco_bytes(document: CocoDocument) -> bytes:
    """The document as JSON; equal documents give equal bytes."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def validate_coco(document: Any, where: str) -> CocoDocument:  # noqa: ANN401  (whatever JSON holds)
    """Check everything that training and evaluation rely on.

    Ids are unique positive integers; file names are unique and stay below the checkout; annotations refer to existing
    images and categories; boxes are finite, positive and inside their image; areas are positive; outlines have at least
    three points, and masks the size of their image.  Annotations have all keypoints of their category, and images one
    label of each label set, or any number if it allows several.

    Args:
        document: Decoded JSON.
        where: Name of the document in error messages.

    Returns:
        The document.

    Raises:
        DataError: The document has faults; the message shows up to 20 of them, and the total number.
    """
    try:
        faults = list(_faults(document))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{where} is not a COCO document of Sightline ({type(error).__name__}: {error}); record the dataset again"
        ) from error
    if faults:
        more = f"\n  and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
        raise DataError(
            f"{where} has {counted(len(faults), 'fault')}; record the dataset again:\n"
            + "\n".join(f"  {fault}" for fault in faults[:SHOWN_FAULTS])
            + more
        )
    valid: CocoDocument = document
    return valid


def _faults(document: Any) -> Iterator[str]:  # noqa: ANN401
    for part in ("categories", "images", "annotations"):
        yield from _id_faults(part, [entry["id"] for entry in document[part]])
    yield from _twice("category name", [entry["name"] for entry in document["categories"]])
    yield from _twice("file_name", [entry["file_name"] for entry in document["images"]])
    for image in document["images"]:
        yield from _image_faults(image)
        yield from _label_faults(image, document.get("label_sets", []))
    keypoints = {category["id"]: len(category.get("keypoints", ())) for category in document["categories"]}
    images = {image["id"]: image for image in document["images"]}
    categories = {category["id"] for category in document["categories"]}
    for annotation in document["annotations"]:
        name = f"annotation {annotation['id']}"
        if annotation["image_id"] not in images:
            yield f"{name}: image_id {annotation['image_id']} is not among the images"
        else:
            yield from _annotation_faults(name, annotation, images[annotation["image_id"]])
        if annotation["category_id"] not in categories:
            yield f"{name}: category_id {annotation['category_id']} is not among the categories {sorted(categories)}"
        elif count := keypoints[annotation["category_id"]]:
            yield from _keypoint_faults(name, annotation.get("keypoints", []), count)


def _id_faults(part: str, ids: list[Any]) -> Iterator[str]:
    for value in ids:
        if type(value) is not int or value < 1:
            yield f"{part}: id {value!r} is not a positive whole number"
    yield from _twice(f"{part}: id", ids)


def _twice(what: str, values: list[Any]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} {value!r} appears {count} times"


def _image_faults(image: Any) -> Iterator[str]:  # noqa: ANN401
    if fault := fault_in(image["file_name"]):
        yield f"image {image['id']}: file_name {strict_json.shown(image['file_name'])} cannot be used: {fault}"
    if not (image["width"] >= 1 and image["height"] >= 1):
        yield f"image {image['id']}: size {image['width']} x {image['height']} is not positive"


def _label_faults(image: Any, label_sets: Any) -> Iterator[str]:  # noqa: ANN401
    labels = image.get("labels", [])
    for label_set in label_sets:
        count = len(set(labels) & set(label_set["category_ids"]))
        if count != 1 and not label_set["multiple"]:
            yield f"image {image['id']}: {count} labels of the label set {label_set['name']}, expected 1"
    known = {category_id for label_set in label_sets for category_id in label_set["category_ids"]}
    for label in labels:
        if label not in known:
            yield f"image {image['id']}: label {label!r} is not among the label sets"


def _keypoint_faults(name: str, values: Any, count: int) -> Iterator[str]:  # noqa: ANN401
    if len(values) != 3 * count:
        yield f"{name}: keypoints has {len(values)} numbers, expected {3 * count}"
    elif not all(map(math.isfinite, values)) or not set(values[2::3]) <= {0, 1, 2}:
        yield f"{name}: keypoints need finite coordinates and visibilities 0, 1 or 2"


def _annotation_faults(name: str, annotation: Any, image: Any) -> Iterator[str]:  # noqa: ANN401
    x, y, width, height = annotation["bbox"]
    right, bottom = image["width"] + BOX_TOLERANCE_PIXELS, image["height"] + BOX_TOLERANCE_PIXELS
    if not all(math.isfinite(value) for value in (x, y, width, height)) or width <= 0 or height <= 0:
        yield f"{name}: bbox {annotation['bbox']} is not finite and positive"
    elif x < -BOX_TOLERANCE_PIXELS or y < -BOX_TOLERANCE_PIXELS or x + width > right or y + height > bottom:
        yield f"{name}: bbox {annotation['bbox']} exceeds its image of {image['width']} x {image['height']} pixels"
    if not (math.isfinite(annotation["area"]) and annotation["area"] > 0):
        yield f"{name}: area {annotation['area']} is not positive"
    if annotation["iscrowd"] != 0:
        yield f"{name}: iscrowd is {annotation['iscrowd']}, expected 0"
    outline = annotation["segmentation"]
    if isinstance(outline, dict):
        if outline["size"] != [image["height"], image["width"]]:
            yield f"{name}: mask of size {outline['size']}, expected [{image['height']}, {image['width']}]"
    elif not outline or any(
        len(polygon) < 6 or len(polygon) % 2 or not all(map(math.isfinite, polygon)) for polygon in outline
    ):
        yield f"{name}: an outline needs at least three finite points"
