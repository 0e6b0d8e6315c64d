"""Detectors with a single stage on the feature pyramid of the backbone: FCOS, RetinaNet and SSDlite."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.nn.functional import log_softmax
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead

from sightline.models.backbone import Backbone
from sightline.models.backbone_names import PYRAMID_STRIDES
from sightline.tasks.object_detection.settings import GROUPS, BoxDetector

_OCTAVE = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
"""Sizes of RetinaNet's anchors, relative to the smallest of a level (https://arxiv.org/abs/1708.02002, section 4)."""

_GROUP_NORM = partial(nn.GroupNorm, GROUPS)


def fcos(backbone: Backbone, model: BoxDetector, num_classes: int) -> FCOS:
    """FCOS with random weights.

    torchvision uses labels as class indices, so there is one more class, for label 0, which never occurs.
    """
    strides = (*PYRAMID_STRIDES, 2 * PYRAMID_STRIDES[-1])[: model.pyramid_levels]
    return FCOS(
        backbone,
        num_classes + 1,
        anchor_generator=AnchorGenerator(tuple((stride,) for stride in strides), ((1.0,),) * len(strides)),
        score_thresh=model.score_threshold,
        nms_thresh=model.nms_iou,
        detections_per_img=model.max_detections,
    )


def retinanet(backbone: Backbone, model: BoxDetector, num_classes: int) -> RetinaNet:
    """RetinaNet with random weights, and one more class, as for FCOS; each level has anchors of three sizes.

    Norms and loss are those of torchvision's version 2, which learns faster (``retinanet_resnet50_fpn_v2``).
    """
    anchors = _anchors(model, _OCTAVE)
    head = RetinaNetHead(
        backbone.out_channels, anchors.num_anchors_per_location()[0], num_classes + 1, norm_layer=_GROUP_NORM
    )
    head.regression_head._loss_type = "giou"
    return RetinaNet(
        backbone,
        num_classes + 1,
        anchor_generator=anchors,
        head=head,
        score_thresh=model.score_threshold,
        nms_thresh=model.nms_iou,
        detections_per_img=model.max_detections,
    )


def ssdlite(backbone: Backbone, model: BoxDetector, num_classes: int) -> SSDLite:
    """SSDlite with random weights.

    Its default boxes are anchors in pixels, so that they do not depend on the padding of a batch, and its head has
    GroupNorm, so that an image does not depend on the others of a batch.
    """
    anchors = _anchors(model, (1.0,))
    counts = anchors.num_anchors_per_location()
    head = SSDLiteHead([backbone.out_channels] * len(counts), counts, num_classes + 1, norm_layer=_GROUP_NORM)
    return SSDLite(
        backbone,
        anchors,
        (model.image_size, model.image_size),
        num_classes + 1,
        head=head,
        score_thresh=model.score_threshold,
        nms_thresh=model.nms_iou,
        detections_per_img=model.max_detections,
    )


class SSDLite(SSD):  # type: ignore[misc]  # torchvision has no types
    """torchvision's SSD with the mean of the losses of the images as its loss.

    torchvision divides by the number of matched anchors of the whole batch, so that the gradient would depend on how a
    batch is divided, and leaves out images without objects.  Here an image without objects has the loss of the anchors
    that look most like one.
    """

    def compute_loss(
        self,
        targets: list[dict[str, torch.Tensor]],
        head_outputs: dict[str, torch.Tensor],
        anchors: list[torch.Tensor],
        matched_idxs: list[torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """The losses ``classification`` and ``bbox_regression``, scalars."""
        losses = []
        for index, one in enumerate(zip(targets, anchors, matched_idxs, strict=True)):
            target, anchors_of_image, matched = one
            outputs = {name: tensor[index : index + 1] for name, tensor in head_outputs.items()}
            loss = super().compute_loss([target], outputs, [anchors_of_image], [matched])
            if len(target["boxes"]) == 0:
                background = -log_softmax(outputs["cls_logits"][0], dim=-1)[:, 0]
                loss["classification"] = background.topk(int(self.neg_to_pos_ratio)).values.sum()
            losses.append(loss)
        return {name: torch.stack([loss[name] for loss in losses]).mean() for name in losses[0]}


def _anchors(model: BoxDetector, scales: tuple[float, ...]) -> AnchorGenerator:
    """Anchors of each size of the settings, times each scale."""
    assert model.anchor_sizes != "auto"  # noqa: S101  (the task has fitted them)
    sizes = tuple(tuple(int(size * scale) for scale in scales) for size in model.anchor_sizes)
    return AnchorGenerator(sizes, (model.anchor_ratios,) * len(sizes))
