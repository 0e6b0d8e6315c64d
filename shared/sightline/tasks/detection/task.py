"""The common base of instance segmentation and object detection."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from sightline.config.network import Detector, Network
from sightline.data.detections import Detections
from sightline.data.formats.coco import CocoDocument
from sightline.data.loading.dataset import Sample
from sightline.errors import StepError
from sightline.metrics.coco import Overlap, evaluate_coco
from sightline.metrics.exact_match import evaluate_exact_match
from sightline.metrics.matches import match_detections
from sightline.models.backbone_names import PYRAMID_STRIDES
from sightline.models.model_file import ModelCard
from sightline.models.preprocessing import as_tensor
from sightline.models.weights.loading import ClassRows
from sightline.tasks.base import Task
from sightline.tasks.detection.anchors import fit_anchors
from sightline.tasks.detection.predictor import DetectionPredictor
from sightline.tasks.detection.sampling import sampling_seeds
from sightline.tasks.detection.thresholds import operating_points
from sightline.tasks.readers.registry import checked_reader

_log = logging.getLogger(__name__)

READING_SCORE = 0.5
"""Lowest score of the detections that are read at a validation, the default of ``evaluate.score_threshold``."""

_QUERY_GROUPS = 13
"""Groups of queries with which RF-DETR is trained; each has its own layer for classes."""

_LEVELS = len(PYRAMID_STRIDES) + 1
"""The most levels of a pyramid."""

CLASS_ROWS: Mapping[str, ClassRows] = MappingProxyType(
    {
        f"{layer}.{kind}": rows
        for layer, rows in (
            ("roi_heads.box_predictor.cls_score", ClassRows()),
            ("roi_heads.box_predictor.bbox_pred", ClassRows(4)),
            ("roi_heads.mask_predictor.mask_fcn_logits", ClassRows()),
            # Of FCOS, with one anchor, and RetinaNet; label 0 has rows but never occurs.
            ("head.classification_head.cls_logits", ClassRows(per_anchor=True)),
            # Of SSDlite.
            *(
                (f"head.classification_head.module_list.{level}.1", ClassRows(per_anchor=True))
                for level in range(_LEVELS)
            ),
            # Of RF-DETR, where label 0 does not occur either.
            ("network.class_embed", ClassRows()),
            *((f"network.transformer.enc_out_class_embed.{group}", ClassRows()) for group in range(_QUERY_GROUPS)),
        )
        for kind in ("weight", "bias")
    }
)
"""The tensors of detectors that have rows for each class."""


class DetectionTask(Task):
    """A task with a detector of torchvision and a backbone of :mod:`sightline.models.backbone`.

    Attributes:
        name: Name in the configuration.
        overlaps: The kinds of overlap used to match detections with the truth.
        predictor_class: Class of the predictor.
    """

    name: str
    overlaps: tuple[Overlap, ...] = ("box",)
    predictor_class: type[DetectionPredictor] = DetectionPredictor
    class_rows = CLASS_ROWS
    short_names = MappingProxyType({"classifier": "cls", "box_reg": "box", "objectness": "obj", "rpn_box_reg": "rpn"})

    def fitted(self, model: Network, truth: CocoDocument) -> Network:
        """The settings with anchor sizes fitted to the boxes of the train split, if they are ``auto``."""
        return fit_anchors(model, truth) if isinstance(model, Detector) else model

    def losses(self, network: nn.Module, batch: Sequence[Sample], device: torch.device) -> dict[str, torch.Tensor]:
        """The components of the detector's loss."""
        images = [as_tensor(sample.image).to(device, non_blocking=True) for sample in batch]
        targets = [self.target(sample, device) for sample in batch]
        with sampling_seeds(network, [sample.seed for sample in batch]):
            losses: dict[str, torch.Tensor] = network(images, targets)
        return {name.removeprefix("loss_"): loss for name, loss in losses.items()}

    def initial_losses(self, model: Network, num_classes: int) -> dict[str, float]:  # noqa: ARG002
        """Uniform probabilities: cross-entropy over the classes and the background, or over two outcomes."""
        return {"classifier": math.log(num_classes + 1), "objectness": math.log(2)}

    def target(self, sample: Sample, device: torch.device) -> dict[str, Any]:
        """The training target of one image.

        Returns:
            ``boxes`` float32 [N, 4] xyxy, ``labels`` int64 [N], ``canvas_hw``, and ``seed`` for random choices.
        """
        return {
            "seed": sample.seed,
            "canvas_hw": torch.tensor(sample.canvas_hw),
            "boxes": torch.from_numpy(sample.boxes_xyxy).to(device),
            "labels": torch.from_numpy(sample.labels).to(device),
        }

    def predictor(self, network: nn.Module, card: ModelCard, device: torch.device) -> DetectionPredictor:
        """A predictor that uses the network."""
        return self.predictor_class(network, card, device)

    def evaluate(
        self, truth: CocoDocument, predictions: Sequence[Detections], reading: str = "none"
    ) -> dict[str, float]:
        """COCO's average precision for each of :attr:`overlaps`, and the metric of the reading."""
        values = dict(evaluate_coco(truth, predictions, self.overlaps).values)
        names = [category["name"] for category in sorted(truth["categories"], key=lambda one: one["id"])]
        reader = checked_reader(reading, names)
        if reader is not None:
            sure = [found.above(READING_SCORE) for found in predictions]
            try:
                values |= evaluate_exact_match(truth, sure, reader).values
            except StepError as error:
                _log.warning("this validation has no metric of the reading: %s", error)
        return values

    def thresholds(self, truth: CocoDocument, predictions: Sequence[Detections]) -> dict[str, float]:
        """The thresholds with the highest F1 of each class, for boxes at IoU 0.5."""
        matches = match_detections(truth, predictions, "box")
        return {name: point.threshold for name, point in operating_points(matches).items()}
