"""Drawn images beside ``summary.json``: truth and predictions, each model in a folder of its own."""

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
    """At most ``number`` of ``images``, spread evenly over them."""
    number = min(number, len(images))
    return [images[index * len(images) // number] for index in range(number)]


def worst_and_spread(images: Sequence[CocoImage], number: int, mistakes: Mapping[int, int]) -> list[CocoImage]:
    """At most ``number`` of ``images``: half of them those with the most mistakes, the rest spread evenly.

    Args:
        images: Of a split.
        number: How many.
        mistakes: By image id; an image without an entry has none.

    Returns:
        Those with the most mistakes first; of equal ones the earlier.
    """

    def worst_first(image: CocoImage) -> int:
        return -mistakes.get(image["id"], 0)

    worst = [image for image in sorted(images, key=worst_first) if mistakes.get(image["id"])][: (number + 1) // 2]
    taken = {image["id"] for image in worst}
    rest = spread([image for image in images if image["id"] not in taken], number - len(worst))
    return sorted([*worst, *rest], key=worst_first)


def drawing_name(image_id: int, file_name: str) -> str:
    """A file name that no other image has, and that tells a person which image it is."""
    return f"{image_id:06d}-{plain_name(Path(file_name).stem)}.jpg"


def plain_name(text: str) -> str:
    """``text`` as a part of a path: letters, digits, ``.``, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "x"


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
        files: The folder of ``summary.json``; the drawings go below ``drawn/``.
        root: What the split's file names are relative to.
        truth: The split.
        found: Name of the model -> image id -> the prediction to be drawn.
        images: Those of the split's images that are drawn.
        max_pixels: Images with more pixels are refused.
        evaluator: Draws them.
        measured: Name of the model -> what is to be said of its images.

    Returns:
        The entries ``drawn`` of ``summary.json``.
    """
    from sightline.data.loading.dataset import read_listed_image

    entries = []
    for listed in images:
        picture = read_listed_image(root, listed, max_pixels)
        annotations = [entry for entry in truth["annotations"] if entry["image_id"] == listed["id"]]
        drawing = drawing_name(listed["id"], listed["file_name"])
        save_drawing(evaluator.draw_truth(picture, annotations), files / "drawn" / "truth" / drawing)
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
                }
            )
    return entries
