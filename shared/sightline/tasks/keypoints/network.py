"""Builds Keypoint R-CNN from the configuration."""

from __future__ import annotations

from torchvision.models.detection.keypoint_rcnn import KeypointRCNN, KeypointRCNNHeads, KeypointRCNNPredictor

from sightline.models.backbone import build_backbone
from sightline.models.preprocessing import InputBatch, Preprocessing
from sightline.tasks.detection.full_precision import full_precision_outputs
from sightline.tasks.detection.sampling import seed_sampling
from sightline.tasks.detection.two_stages import region_pooling, two_stages
from sightline.tasks.keypoints.heads import KeypointHeads
from sightline.tasks.keypoints.settings import KeypointDetector

_KEYPOINT_POOL = 14


def build_detector(model: KeypointDetector, num_classes: int) -> KeypointRCNN:
    """Build Keypoint R-CNN with random weights.

    In training mode it takes images (uint8 [3, H, W], fitted to the input size) and targets (``boxes`` float32 [N, 4]
    xyxy, ``labels`` int64 [N], ``keypoints`` float32 [N, K, 3] with visibility) and returns its losses by name; in
    evaluation mode it returns for each image ``boxes`` (input pixels), ``scores``, ``labels`` and ``keypoints``
    (float32 [N, K, 3], x and y in input pixels, and score).

    Args:
        model: The section ``model`` of the configuration.
        num_classes: Number of classes without the background, which is label 0.

    Raises:
        ConfigurationError: The backbone is unknown, or the number of anchor sizes does not match its pyramid.
    """
    # Do not reorder: the order determines the random weights of a seed.
    backbone = build_backbone(model)
    stages = two_stages(model, num_classes)
    detector = KeypointRCNN(
        backbone,
        **stages,
        keypoint_roi_pool=region_pooling(model, _KEYPOINT_POOL),
        keypoint_head=KeypointRCNNHeads(model.fpn_channels, (model.keypoint_channels,) * model.keypoint_layers),
        keypoint_predictor=KeypointRCNNPredictor(model.keypoint_channels, len(model.keypoints.names)),
    )
    detector.roi_heads = KeypointHeads.of(detector.roi_heads)
    seed_sampling(detector)
    full_precision_outputs(detector)
    detector.transform = InputBatch(Preprocessing(model.image_size))
    return detector
