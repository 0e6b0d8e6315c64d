"""Keypoints of objects, with Keypoint R-CNN or heat maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sightline.config.labels import Keypoints
from sightline.config.network import Network
from sightline.data.formats.coco import CocoDocument
from sightline.data.keypoint_detections import KeypointDetections
from sightline.data.label_schema import KeypointSchema
from sightline.data.loading.dataset import Sample
from sightline.errors import DataError
from sightline.metrics.coco import evaluate_coco
from sightline.metrics.keypoints import evaluate_keypoints, require_keypoints
from sightline.metrics.matches import match_detections
from sightline.models.model_file import ModelCard
from sightline.plural import counted
from sightline.tasks.base import Predictor
from sightline.tasks.detection.task import DetectionTask
from sightline.tasks.detection.thresholds import operating_points
from sightline.tasks.keypoints.heatmap_network import KeypointMaps
from sightline.tasks.keypoints.network import build_detector
from sightline.tasks.keypoints.predictors import predictor_of
from sightline.tasks.keypoints.settings import WHOLE_IMAGE, HeatmapNetwork, KeypointDetector


class KeypointsOfObjects(DetectionTask):
    """Keypoints with Keypoint R-CNN or a top-down network, measured by average precision with OKS."""

    name = "keypoints"

    def fitted(self, model: Network, truth: CocoDocument) -> Network:
        """The settings with the keypoints of the train split, and with fitted anchor sizes if they are ``auto``.

        Raises:
            DataError: The split has no keypoints, or several objects in an image that is to be one.
        """
        keypoints = _settings_of(require_keypoints(truth), truth)
        if isinstance(model, HeatmapNetwork) and model.boxes == WHOLE_IMAGE:
            _require_one_object(truth)
        return super().fitted(model.model_copy(update={"keypoints": keypoints}), truth)

    def build_network(self, model: Network, num_classes: int) -> nn.Module:
        """Build the network with random weights; ``num_classes`` does not count the background."""
        if isinstance(model, HeatmapNetwork):
            return KeypointMaps(model)
        assert isinstance(model, KeypointDetector)  # noqa: S101
        network: nn.Module = build_detector(model, num_classes)
        return network

    def target(self, sample: Sample, device: torch.device) -> dict[str, Any]:
        """Boxes, labels and ``keypoints`` float32 [N, K, 3], whose last value is the visibility."""
        assert sample.keypoints is not None  # noqa: S101  (the dataset has keypoints)
        return super().target(sample, device) | {"keypoints": torch.from_numpy(sample.keypoints).to(device)}

    def predictor(self, network: nn.Module, card: ModelCard, device: torch.device) -> Predictor:  # type: ignore[override]
        """A predictor that uses the network."""
        return predictor_of(network, card, device)

    def evaluate(  # type: ignore[override]
        self,
        truth: CocoDocument,
        predictions: Sequence[KeypointDetections],
        reading: str = "none",  # noqa: ARG002
    ) -> dict[str, float]:
        """Metrics of keypoints, and average precision of boxes if the network finds them itself."""
        values = dict(evaluate_keypoints(truth, predictions).values)
        if not any(found.boxes_given for found in predictions):
            values |= evaluate_coco(truth, predictions, ("box",)).values
        return values

    def thresholds(  # type: ignore[override]
        self, truth: CocoDocument, predictions: Sequence[KeypointDetections]
    ) -> dict[str, float]:
        """The thresholds with the highest F1 of each class, for keypoints at OKS 0.5."""
        matches = match_detections(truth, predictions, "keypoint", require_keypoints(truth).sigmas)
        return {name: point.threshold for name, point in operating_points(matches).items()}


def _settings_of(schema: KeypointSchema, truth: CocoDocument) -> Keypoints:
    def named(pairs: Sequence[tuple[int, int]]) -> tuple[tuple[str, str], ...]:
        return tuple((schema.names[one], schema.names[other]) for one, other in pairs)

    return Keypoints(
        names=schema.names,
        skeleton=named(schema.skeleton),
        flip_pairs=named(schema.flip_pairs),
        sigmas=() if schema.uniform_sigmas else schema.sigmas,
        supercategory=truth["categories"][0].get("supercategory", ""),
    )


def _require_one_object(truth: CocoDocument) -> None:
    """Require that no image shows several objects.

    Raises:
        DataError: Some do.
    """
    counts = Counter(annotation["image_id"] for annotation in truth["annotations"])
    crowded = [image for image in truth["images"] if counts[image["id"]] > 1]
    if crowded:
        raise DataError(
            f"model.boxes: image, but {counted(len(crowded), 'image')} of {len(truth['images'])} in the train split "
            f"{'has' if len(crowded) == 1 else 'have'} several objects, such as {crowded[0]['file_name']} with "
            f"{counts[crowded[0]['id']]}; set model.boxes to truth or to a detector, or crop the objects with "
            "`sightline dataset crop`"
        )


TASK = KeypointsOfObjects()
