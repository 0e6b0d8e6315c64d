"""Uses an exported model with ONNX Runtime, without torch.

Example::

    from sightline.prediction.exported import ExportedModel

    model = ExportedModel.load("plates.onnx")
    detections = model.predict("plate.png").above(0.5)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sightline.data.loading.transforms import fit_image
from sightline.documents import DocumentError
from sightline.errors import ModelFileError
from sightline.models.export_header import EXPORT_HEADER, HEADER_KEY, ExportHeader
from sightline.tasks.base import MAX_PIXELS
from sightline.tasks.input_image import rgb_image
from sightline.tasks.postprocessing import POSTPROCESSING

if TYPE_CHECKING:
    from PIL.Image import Image

Arrays = dict[str, npt.NDArray[Any]]
Run = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], Arrays]
"""Computes the outputs by name from ``images`` uint8 [B, 3, H, W] and ``sizes`` int64 [B, 2]."""

_STRIDE = 32
_AGAIN = "export the model again with sightline model export"


class ExportedModel:
    """An exported model: prepares images, runs the graph, and converts its outputs, in NumPy.

    Args:
        header: The header of the exported model.
        run: Runs the graph.
    """

    def __init__(self, header: ExportHeader, run: Run) -> None:
        self.header = header
        self._run = run
        self._postprocess = POSTPROCESSING.load(header.task, "task")

    @staticmethod
    def load(path: str | Path) -> ExportedModel:
        """Load an ONNX file that ``sightline model export`` wrote; it runs on the CPU.

        Raises:
            ModelFileError: The file cannot be read, or Sightline did not export it.
        """
        return ExportedModel(*_open_onnx(Path(path)))

    @property
    def class_names(self) -> dict[int, str]:
        """COCO category id -> class name."""
        return dict(zip(self.header.category_ids, self.header.classes, strict=True))

    def predict(
        self, image: Image | npt.NDArray[np.uint8] | Path | str, image_id: int = 0, *, max_pixels: int = MAX_PIXELS
    ) -> Any:  # noqa: ANN401  (the prediction type of the task)
        """Predict on one image; arguments and result as for :meth:`sightline.tasks.base.Predictor.predict`."""
        (found,) = self.predict_batch([image], [image_id], max_pixels=max_pixels)
        return found

    def predict_batch(
        self,
        images: Sequence[Image | npt.NDArray[np.uint8] | Path | str],
        image_ids: Sequence[int] | None = None,
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> list[Any]:
        """Predict on several images at once.

        Padding influences the edges of an image a little, so images of very different shapes are better predicted
        on their own.

        Args:
            images: As for :meth:`predict`.
            image_ids: COCO ids of the images; None: 0.
            max_pixels: Image files with more pixels are rejected.
        """
        pictures = [rgb_image(image, max_pixels) for image in images]
        fitted = [fit_image(picture, self.header.image_size) for picture in pictures]
        pixels = [np.asarray(image) for image, _ in fitted]
        outputs = self._run(self._batch(pixels), np.array([image.shape[:2] for image in pixels], dtype=np.int64))
        return [
            self._postprocess(
                {name: values[index] for name, values in outputs.items()},
                placement,
                picture.size,
                self.header,
                image_id,
            )
            for index, ((_, placement), picture, image_id) in enumerate(
                zip(fitted, pictures, image_ids or [0] * len(pictures), strict=True)
            )
        ]

    def _batch(self, images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
        """Images [height, width, 3] as one array [B, 3, H, W], padded on the right and at the bottom."""
        height, width = self.header.canvas or (
            -(-max(image.shape[side] for image in images) // _STRIDE) * _STRIDE for side in (0, 1)
        )
        batch = np.zeros((len(images), 3, height, width), dtype=np.uint8)
        for row, image in zip(batch, images, strict=True):
            row[:, : image.shape[0], : image.shape[1]] = image.transpose(2, 0, 1)
        return batch


def _open_onnx(path: Path) -> tuple[ExportHeader, Run]:
    import onnxruntime

    if not path.is_file():
        raise ModelFileError(f"{path}: no such file; give the path of a file written by sightline model export")
    if path.suffix == ".pt2":
        raise ModelFileError(
            f"{path}: programs of torch.export may contain code, so they are not read here; load it with "
            "torch.export.load if you trust it, or export the model with --format onnx"
        )
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelFileError(f"{path}: ONNX Runtime cannot read the file ({str(error)[:300]}); {_AGAIN}") from error
    text = session.get_modelmeta().custom_metadata_map.get(HEADER_KEY)
    if text is None:
        raise ModelFileError(f"{path}: this ONNX file was not written by Sightline; {_AGAIN}")
    try:
        header = EXPORT_HEADER.decode(text)
    except DocumentError as error:
        raise ModelFileError(f"{path}: cannot read the header ({error}); {error.remedy(_AGAIN)}") from error
    names = [output.name for output in session.get_outputs()]

    def run(images: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64]) -> Arrays:
        return dict(zip(names, session.run(names, {"images": images, "sizes": sizes}), strict=True))

    return header, run
