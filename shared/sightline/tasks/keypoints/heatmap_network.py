"""The top-down network: heat maps of the keypoints in crops around objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sightline.models.backbone import TimmBody
from sightline.models.preprocessing import InputBatch, Preprocessing
from sightline.models.weights.naming import Tensors
from sightline.models.weights.timm_models import body_tensors
from sightline.tasks.keypoints.crops import (
    crop_regions,
    cut_crops,
    keypoints_in_image,
    keypoints_in_maps,
    varied_regions,
)
from sightline.tasks.keypoints.heatmap_body import Features
from sightline.tasks.keypoints.maps import decode_maps, map_losses, map_targets
from sightline.tasks.keypoints.settings import STRIDE, WHOLE_IMAGE, HeatmapNetwork

_OWN_NAMES = ("backbone.", "predictor.")


class KeypointMaps(nn.Module):
    """Predicts a map of each keypoint for crops.

    In training mode it takes images (uint8 [3, H, W], fitted to the input size) and targets (``boxes`` float32 [N, 4]
    xyxy, ``keypoints`` float32 [N, K, 3] with visibility, ``seed``) and returns its losses by name; in evaluation mode
    it takes images and targets with ``boxes`` and returns ``keypoints`` for each image, float32 [N, K, 3]: x and y in
    input pixels, and score.

    Args:
        model: The section ``model`` of the configuration.

    Raises:
        ConfigurationError: There is no such backbone.
    """

    body_prefix = "backbone.body."

    def __init__(self, model: HeatmapNetwork) -> None:
        super().__init__()
        names = model.keypoints.names
        self.model = model
        self.backbone = Features(model)
        self.predictor = nn.Conv2d(self.backbone.out_channels, len(names), 1)
        nn.init.normal_(self.predictor.weight, std=1e-3)
        assert self.predictor.bias is not None  # noqa: S101
        nn.init.zeros_(self.predictor.bias)
        self.transform = InputBatch(Preprocessing(model.image_size))
        self.map_size = model.crop_hw[0] // STRIDE, model.crop_hw[1] // STRIDE
        self.register_buffer("mirrored", _mirrored(names, model.keypoints.flip_pairs), persistent=False)

    mirrored: torch.Tensor

    def forward(self, images: Sequence[torch.Tensor], targets: list[dict[str, Any]]) -> Any:  # noqa: ANN401
        """Losses in training mode, keypoints in evaluation mode; see the class."""
        fitted = self.transform(images, targets)[0]
        batch = fitted.tensors
        if self.training:
            return {"keypoint": self._loss(batch, fitted.image_sizes, targets)}
        boxes = [target["boxes"] for target in targets]
        places = torch.cat([boxes[0].new_full((len(one),), place) for place, one in enumerate(boxes)])
        points = self.keypoints(batch, places, torch.cat(boxes))
        return [{"keypoints": of_image} for of_image in torch.split(points, [len(one) for one in boxes])]

    def keypoints(self, batch: torch.Tensor, places: torch.Tensor, boxes_xyxy: torch.Tensor) -> torch.Tensor:
        """The keypoints in boxes: float32 [N, K, 3], x and y in pixels of the images, and score.

        Args:
            batch: float [B, 3, H, W], normalized.
            places: [N], the image of each box.
            boxes_xyxy: float32 [N, 4], pixels.
        """
        regions = crop_regions(boxes_xyxy, self.model)
        crops = cut_crops(batch, places, regions, self.model)
        logits = self.maps(crops)
        if self.model.flip_test:
            other = self.maps(crops.flip(-1)).flip(-1).index_select(1, self.mirrored)
            both = torch.stack((_log_shares(logits), _log_shares(other)))
            logits = torch.logsumexp(both, dim=0)
        return keypoints_in_image(decode_maps(logits, self.model.map_sigma), regions, self.map_size)

    def maps(self, crops: torch.Tensor) -> torch.Tensor:
        """The maps of crops: float32 [N, K, H / 4, W / 4]."""
        logits: torch.Tensor = self.predictor(self.backbone(crops))
        return logits.float()

    def _loss(
        self, batch: torch.Tensor, sizes: Sequence[tuple[int, int]], targets: list[dict[str, Any]]
    ) -> torch.Tensor:
        """The mean over images of the mean over their labeled keypoints, so that it does not depend on the batch."""
        parts = [_chosen(target, size, self.model) for target, size in zip(targets, sizes, strict=True)]
        regions, keypoints = (torch.cat(part) for part in zip(*parts, strict=True))
        counts = [len(one) for one, _ in parts]
        places = torch.repeat_interleave(
            torch.arange(len(counts), device=batch.device), torch.tensor(counts, device=batch.device)
        )
        if not len(regions):
            return sum((one.sum() * 0 for one in self.parameters()), batch.new_zeros(()))
        crops = cut_crops(batch, places, regions, self.model)
        logits = self.maps(crops.contiguous(memory_format=torch.channels_last))  # a sixth faster on a CPU
        points = keypoints_in_maps(keypoints, regions, self.map_size)
        wanted, weights = map_targets(points, *self.map_size, self.model.map_sigma)
        losses = (map_losses(logits, wanted) * weights).sum(dim=1)
        means = [
            loss.sum() / weight.sum().clamp(min=1)
            for loss, weight in zip(torch.split(losses, counts), torch.split(weights, counts), strict=True)
        ]
        return torch.stack(means).mean()

    def in_own_names(self, tensors: Tensors) -> Tensors:
        """Tensors of a timm model or of a classifier of torchvision, with the names of this network."""
        if any(name.startswith(_OWN_NAMES) for name in tensors):
            return tensors
        body = self.backbone.body
        if not isinstance(body, TimmBody):
            return {f"{self.body_prefix}{name}": tensor for name, tensor in tensors.items()}
        if not body.network.state_dict().keys() <= tensors.keys():
            tensors = body_tensors(body.create, tensors)
        return {f"{self.body_prefix}network.{name}": tensor for name, tensor in tensors.items()}


def _log_shares(logits: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits.flatten(2), dim=-1).reshape(logits.shape)


def _mirrored(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    """The keypoint that each keypoint becomes in a mirrored image, by index."""
    other = {one: another for pair in pairs for one, another in (pair, pair[::-1])}
    return torch.tensor([names.index(other.get(name, name)) for name in names], dtype=torch.int64)


def _chosen(target: dict[str, Any], size: tuple[int, int], model: HeatmapNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    """Regions and keypoints of the objects of an image to train on, chosen by the seed of the image.

    The regions are around the boxes that predictions are made on: an image of ``size``, height and width, or an object.
    """
    boxes, keypoints = target["boxes"], target["keypoints"]
    if model.boxes == WHOLE_IMAGE:
        boxes = boxes.new_tensor((0, 0, *size[::-1])).expand_as(boxes)
    generator = torch.Generator().manual_seed(target["seed"])
    labelled = torch.where((keypoints[..., 2] > 0).any(dim=1))[0]
    order = torch.randperm(len(labelled), generator=generator)[: model.sampled_objects]
    chosen = labelled[order.to(labelled.device)]
    return varied_regions(crop_regions(boxes[chosen], model), generator), keypoints[chosen]
