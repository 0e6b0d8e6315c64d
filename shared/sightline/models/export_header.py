"""The header of exported models: what is needed to use the graph, without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sightline.documents import DocumentKind

HEADER_KEY = "sightline"
"""The key of the header in the metadata of an ONNX file."""

PROGRAM_FILE = "sightline.json"
"""The extra file with the header in a program of ``torch.export``."""


@dataclass(frozen=True)
class ExportHeader:
    """What is needed to use an exported model.

    Attributes:
        task: Name of the task.
        classes: Class names; label ``i + 1`` of the graph is ``classes[i]``.
        category_ids: COCO category ids, in the same order.
        image_size: Longer side of an image after resizing (bilinear), pixels.
        canvas: Height and width of the batch if they are fixed; None: any multiples of 32.
        card: The model card, for information.
    """

    task: str
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    image_size: int
    canvas: tuple[int, int] | None = None
    card: dict[str, Any] = field(default_factory=dict)


EXPORT_HEADER = DocumentKind("header of an exported model", ExportHeader)
