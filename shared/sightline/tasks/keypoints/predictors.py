"""Predicts keypoints in pixels of the image, with exactly the preprocessing of training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.label_schema import keypoint_schema
from sightline.data.loading.transforms import Placement, fit_image
from sightline.errors import DataError
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import as_tensor
from sightline.tasks.base import MAX_PIXELS, Predictor
from sightline.tasks.detection.predictor import GPU_BATCH, DetectionPredictor
from sightline.tasks.input_image import rgb_image
from sightline.tasks.keypoints.boxes import BoxSource, FoundBoxes, TrueBoxes, WholeImages
from sightline.tasks.keypoints.heatmap_network import KeypointMaps
from sightline.tasks.keypoints.postprocessing import detections_of
from sightline.tasks.keypoints.settings import TRUTH, HeatmapNetwork, KeypointDetector


def require_same_keypoints(card: ModelCard, document: CocoDocument) -> None:
    """Require that a model predicts the keypoints of a split, in their order.

    Raises:
        DataError: It does not.
    """
    schema = keypoint_schema(document)
    assert isinstance(card.architecture, KeypointDetector | HeatmapNetwork)  # noqa: S101
    mine, theirs = card.architecture.keypoints.names, () if schema is None else schema.names
    if mine != theirs:
        raise DataError(
            f"the model predicts the keypoints {', '.join(mine)}, but the dataset has {', '.join(theirs) or 'none'}; "
            "use a model with the same keypoints in the same order"
        )


class KeypointPredictor(DetectionPredictor):
    """A predictor that uses Keypoint R-CNN."""

    postprocess = staticmethod(detections_of)

    def for_split(self, document: CocoDocument) -> KeypointPredictor:
        """The same predictor, after a check that the keypoints are those of the split.

        Raises:
            DataError: They are not.
        """
        require_same_keypoints(self.card, document)
        return self


class TopDownPredictor(Predictor):
    """A predictor of keypoints in boxes, which come from a :class:`~sightline.tasks.keypoints.boxes.BoxSource`.

    The score of an object is that of its box times the mean of those of its keypoints.

    Args:
        network: The network; it is set to evaluation mode.
        card: Description of the network.
        device: Where the network is.
        source: Gives the boxes; None: as ``model.boxes`` says.
    """

    def __init__(
        self, network: nn.Module, card: ModelCard, device: torch.device, source: BoxSource | None = None
    ) -> None:
        assert isinstance(card.architecture, HeatmapNetwork)  # noqa: S101
        self.card = card
        self._network = network.to(device).eval()
        self._device = device
        self._source = source or _source(card, device)
        self.batch_size = 1 if device.type == "cpu" else GPU_BATCH

    def for_split(self, document: CocoDocument) -> TopDownPredictor:
        """The predictor for the images of a split, which knows their boxes if ``model.boxes`` is ``truth``.

        Raises:
            DataError: The split has other keypoints than the model.
        """
        require_same_keypoints(self.card, document)
        if getattr(self.card.architecture, "boxes", "") != TRUTH:
            return self
        ids = dict(zip(self.card.classes, self.card.category_ids, strict=True))
        source = TrueBoxes(document, ids, self._source)
        return TopDownPredictor(self._network, self.card, self._device, source)

    def for_export(self) -> TopDownPredictor:
        """The predictor for images of one object each, as an exported model takes them."""
        return TopDownPredictor(self._network, self.card, self._device, WholeImages(self.card.category_ids[0]))

    def predict(
        self,
        image: Image.Image | npt.NDArray[np.uint8] | Path | str,
        image_id: int = 0,
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> KeypointDetections:
        """Predict on one image; see :meth:`sightline.tasks.base.Predictor.predict`."""
        return self.predict_batch([rgb_image(image, max_pixels)], [image_id])[0]

    def predict_batch(self, images: Sequence[Image.Image], image_ids: Sequence[int]) -> list[KeypointDetections]:
        """Predict on several images; see :meth:`sightline.tasks.base.Predictor.predict_batch`.

        Only images with the same size at the network's input are computed together, as for other detectors.
        """
        boxes = self._source.boxes(images, image_ids)
        fitted = [fit_image(image, self.card.preprocessing.image_size) for image in images]
        together: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, (image, _) in enumerate(fitted):
            together[image.size].append(place)
        found: dict[int, KeypointDetections] = {}
        for places in together.values():
            inputs = [as_tensor(np.array(fitted[place][0])).to(self._device) for place in places]
            targets = [{"boxes": self._input_boxes(boxes[place], fitted[place][1])} for place in places]
            with torch.inference_mode():
                outputs = self._network(inputs, targets)
            for place, output in zip(places, outputs, strict=True):
                found[place] = self._detections(
                    output["keypoints"].cpu().numpy(), boxes[place], fitted[place][1], images[place].size
                )
        return [found[place] for place in range(len(images))]

    def _input_boxes(self, boxes: Detections, placement: Placement) -> torch.Tensor:
        scale = np.array([placement.scale_x, placement.scale_y] * 2, dtype=np.float32)
        return torch.from_numpy(boxes.boxes_xyxy * scale).to(self._device)

    def _detections(
        self, keypoints: npt.NDArray[np.float32], boxes: Detections, placement: Placement, size: tuple[int, int]
    ) -> KeypointDetections:
        scale = np.array([placement.scale_x, placement.scale_y], dtype=np.float32)
        places = np.asarray(keypoints[..., :2] / scale, np.float32).clip(0, np.array(size, np.float32))
        scores = boxes.scores * keypoints[..., 2].mean(axis=1)
        found = KeypointDetections(
            image_id=boxes.image_id,
            boxes_xyxy=boxes.boxes_xyxy,
            scores=scores,
            category_ids=boxes.category_ids,
            keypoints=np.concatenate([places, keypoints[..., 2:]], axis=2),
            boxes_given=self._source.given,
        )
        return found.chosen(np.argsort(-scores, kind="stable"))


def _source(card: ModelCard, device: torch.device) -> BoxSource:
    model = card.architecture
    assert isinstance(model, HeatmapNetwork)  # noqa: S101
    if model.detector:
        return FoundBoxes(model.detector, card, device)
    remark = (
        "the model was trained to predict on the boxes of objects (model.boxes is truth), and these images have none: "
        "each image is taken as one object; use images of single objects, or train with model.boxes set to a detector"
    )
    return WholeImages(card.category_ids[0], remark if model.boxes == TRUTH else "")


def predictor_of(network: nn.Module, card: ModelCard, device: torch.device) -> KeypointPredictor | TopDownPredictor:
    """The predictor that uses a network of this task."""
    if isinstance(network, KeypointMaps):
        return TopDownPredictor(network, card, device)
    return KeypointPredictor(network, card, device)
