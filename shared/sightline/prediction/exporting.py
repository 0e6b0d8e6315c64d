"""Exports a model file, and compares the exported file with the network before it is kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from sightline.errors import ConfigurationError, ModelFileError
from sightline.models.export_header import ExportHeader
from sightline.models.exporting import trace, write_onnx, write_program
from sightline.models.model_file import ModelCard, card_document
from sightline.prediction.exported import Arrays, ExportedModel, Run
from sightline.tasks.base import MAX_PIXELS, load_model, load_task
from sightline.tasks.exporters import Agreement, ExportFormat, agreement, export_graph
from sightline.tasks.input_image import rgb_image

if TYPE_CHECKING:
    import numpy.typing as npt

_STRIDE = 32


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported model.

    Attributes:
        header: Its header.
        bytes: Size of the file.
        parity: Its agreement with the network.
    """

    header: ExportHeader
    bytes: int
    parity: Agreement


def export_model(
    model: Path, out: Path, format_: ExportFormat, images: Sequence[Path] = (), *, max_pixels: int = MAX_PIXELS
) -> Exported:
    """Export a model file, and compare the predictions of the written file with those of the network.

    Args:
        model: The model file.
        out: File to write; it is only replaced if the predictions agree.
        format_: ``onnx`` or ``torch_export``.
        images: Images to compare the predictions on; empty: one generated image.
        max_pixels: Images with more pixels are rejected.

    Raises:
        ConfigurationError: The network cannot be exported.
        ModelFileError: The model cannot be read, the file cannot be written, or the predictions differ.
        DataError: An image cannot be read.
    """
    network, card = load_model(model)
    pictures = [rgb_image(path, max_pixels) for path in images] or [_generated(card.preprocessing.image_size)]
    graph = export_graph(card.task, network, format_)
    program, canvas = _traced(graph, card)
    header = ExportHeader(
        card.task, card.classes, card.category_ids, card.preprocessing.image_size, canvas, card_document(card)
    )
    part = out.with_name(f".{os.getpid()}.{out.stem}.unchecked{'.onnx' if format_ == 'onnx' else '.pt2'}")
    try:
        if format_ == "onnx":
            write_onnx(part, program, graph, header)
            exported = ExportedModel.load(part)
        else:
            write_program(part, program, header)
            exported = ExportedModel(header, _run_with(torch.export.load(part).module(), graph.outputs))
        reference: Any = load_task(card.task).predictor(network, card, torch.device("cpu")).for_export()
        if canvas is not None:  # the predictor does not pad to this canvas, and padding influences the windows
            reference = ExportedModel(header, _run_with(graph, graph.outputs))
        parity = _parity(reference, exported, pictures)
        if not parity.holds:
            raise ModelFileError(
                f"{out}: not written, because its predictions differ from those of {model}: {parity.line()}; report "
                "this as a bug with the model file, and use the other --format"
            )
        size = part.stat().st_size
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return Exported(header, size, parity)


def _traced(graph: Any, card: ModelCard) -> tuple[torch.export.ExportedProgram, tuple[int, int] | None]:  # noqa: ANN401
    """The traced graph, and its canvas if the size of the images is fixed."""
    side = -(-card.preprocessing.image_size // _STRIDE) * _STRIDE
    if graph.any_size:
        try:
            return trace(graph, (side, side + _STRIDE), any_size=True), None
        except ConfigurationError:
            pass  # some networks lay out windows for one size; those are exported for that size
    return trace(graph, (side, side), any_size=False), (side, side)


def _run_with(program: Any, names: Sequence[str]) -> Run:  # noqa: ANN401
    def run(images: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64]) -> Arrays:
        with torch.no_grad():
            outputs = program(torch.from_numpy(images), torch.from_numpy(sizes))
        return {name: values.numpy() for name, values in zip(names, outputs, strict=True)}

    return run


def _parity(reference: Any, exported: ExportedModel, pictures: Sequence[Image.Image]) -> Agreement:  # noqa: ANN401
    size = exported.header.image_size
    return agreement(
        exported.header.task,
        ((reference.predict(picture), exported.predict(picture), size / max(picture.size)) for picture in pictures),
    )


def _generated(image_size: int) -> Image.Image:
    """An image of rectangles and ellipses on noise, as large as the input of the network."""
    rng = np.random.default_rng(0)
    height = max(_STRIDE, image_size * 3 // 4)
    image = Image.fromarray(rng.integers(90, 140, (height, image_size, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    for shape in (draw.rectangle, draw.ellipse) * 6:
        left, top = rng.uniform(0, 0.8, 2) * (image_size, height)
        width, tall = rng.uniform(0.05, 0.3, 2) * (image_size, height)
        shape((left, top, left + width, top + tall), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image
