"""Drawn images of truth and predictions next to ``summary.json``, with one folder per model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.data.formats.coco import CocoDocument, CocoImage
from sightline.tasks.base import Prediction
from sightline.tasks.evaluators import Evaluator, Measurement

if TYPE_CHECKING:
    from PIL.Image import Image

_JPEG_QUALITY = 90


def spread(images: Sequence[CocoImage], number: int) -> list[CocoImage]:
    """At most ``number`` of ``images``, evenly spaced."""
    number = min(number, len(images))
    return [images[index * len(images) // number] for index in range(number)]


def worst_and_spread(images: Sequence[CocoImage], number: int, mistakes: Mapping[int, int]) -> list[CocoImage]:
    """At most ``number`` of ``images``: half of them with the most mistakes, the rest evenly spaced.

    Args:
        images: Images of a split.
        number: Maximum number of images.
        mistakes: Image id -> number of mistakes; an image without an entry has none.

    Returns:
        Images with the most mistakes first; equal ones in the order given.
    """

    def worst_first(image: CocoImage) -> int:
        return -mistakes.get(image["id"], 0)

    worst = [image for image in sorted(images, key=worst_first) if mistakes.get(image["id"])][: (number + 1) // 2]
    taken = {image["id"] for image in worst}
    rest = spread([image for image in images if image["id"] not in taken], number - len(worst))
    return sorted([*worst, *rest], key=worst_first)


def drawing_name(image_id: int, file_name: str) -> str:
    """A unique and recognizable file name for the drawing of an image."""
    return f"{image_id:06d}-{plain_name(Path(file_name).stem)}.jpg"


def plain_name(text: str) -> str:
    """``text`` as a path component of letters, digits, ``.``, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "x"


def annotation_file(root: Path, image: str) -> str:
    """The labelme file beside an image, relative to the root; empty if there is none."""
    beside = Path(image).with_suffix(".json")
    return beside.as_posix() if (root / beside).is_file() else ""


def save_drawing(picture: Image, path: Path) -> None:
    """Write a drawn image as JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, "JPEG", quality=_JPEG_QUALITY)


def draw_split(
    files: Path,
    root: Path,
    truth: CocoDocument,
    found: Mapping[str, Mapping[int, Prediction]],
    *,
    images: Sequence[CocoImage],
    max_pixels: int,
    evaluator: Evaluator,
    measured: Mapping[str, Measurement],
) -> list[dict[str, Any]]:
    """Draw truth and predictions of some images of a split.

    Args:
        files: The folder of ``summary.json``; drawings are written below ``drawn/``.
        root: The folder that the file names of the split are relative to.
        truth: The split.
        found: Name of the model -> image id -> the prediction to draw.
        images: The images of the split to draw.
        max_pixels: Images with more pixels are rejected.
        evaluator: Draws truth and predictions.
        measured: Name of the model -> its measurement, with remarks on images.

    Returns:
        The entries of ``drawn`` in ``summary.json``.
    """
    from sightline.data.loading.dataset import read_listed_image

    entries = []
    for listed in images:
        picture = read_listed_image(root, listed, max_pixels)
        annotations = [entry for entry in truth["annotations"] if entry["image_id"] == listed["id"]]
        drawing = drawing_name(listed["id"], listed["file_name"])
        save_drawing(
            evaluator.draw_truth(picture, annotations, listed.get("labels", ())), files / "drawn" / "truth" / drawing
        )
        for model, predictions in found.items():
            folder = f"drawn/{plain_name(model)}"
            save_drawing(evaluator.draw(picture, predictions[listed["id"]]), files / folder / drawing)
            entries.append(
                {
                    "image": listed["file_name"],
                    "model": model,
                    "truth": f"drawn/truth/{drawing}",
                    "prediction": f"{folder}/{drawing}",
                    "remark": measured[model].remark(listed["id"]).model_dump(),
                    "annotation": annotation_file(root, listed["file_name"]),
                }
            )
    return entries
