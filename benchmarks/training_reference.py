"""The peer: torchvision's reference recipe for detection (references/detection of its repository), as its loop does it.

Data: polygons become bitmaps of the whole image in the workers.  Step: as ``train_one_epoch``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset
from torchvision.models.detection.mask_rcnn import MaskRCNN, MaskRCNNHeads, MaskRCNNPredictor

from sightline.data.formats.coco import CocoDocument
from sightline.data.rasterizer import rasterize
from sightline.models.backbone import build_backbone
from sightline.tasks.detection.two_stages import region_pooling, two_stages
from sightline.tasks.instance_segmentation.settings import MaskDetector


def reference_network(model: MaskDetector, num_classes: int, sides: tuple[int, int]) -> MaskRCNN:
    """torchvision's Mask R-CNN with the same layers as ours; ``sides`` are the shorter and the longer one."""
    backbone = build_backbone(model)
    return MaskRCNN(
        backbone,
        **two_stages(model, num_classes),
        mask_roi_pool=region_pooling(model, 14),
        mask_head=MaskRCNNHeads(model.fpn_channels, (model.mask_channels,) * model.mask_layers, 1),
        mask_predictor=MaskRCNNPredictor(model.mask_channels, model.mask_channels, num_classes + 1),
        min_size=sides[0],
        max_size=sides[1],
    )


class ReferenceDataset(Dataset):
    """Images with boxes, labels and bitmaps, mirrored at random, like the reference's ``CocoDetection``."""

    def __init__(self, document: CocoDocument, root: Path, length: int) -> None:
        self.document, self.root, self.length = document, root, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        listed = self.document["images"][index % len(self.document["images"])]
        with Image.open(self.root / listed["file_name"]) as opened:
            image = torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1).float() / 255
        height, width = image.shape[1:]
        own = [one for one in self.document["annotations"] if one["image_id"] == listed["id"]]
        boxes = torch.tensor([one["bbox"] for one in own], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        masks = np.stack([rasterize(one["segmentation"], height, width) for one in own])
        target = {
            "boxes": boxes,
            "labels": torch.tensor([one["category_id"] for one in own]),
            "masks": torch.from_numpy(masks),
        }
        if torch.rand(1) < 0.5:
            image = image.flip(-1)
            target["masks"] = target["masks"].flip(-1)
            target["boxes"] = boxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1]) + torch.tensor([width, 0, width, 0])
        return image, target


def collate(batch: Sequence[Any]) -> tuple[Any, ...]:
    """Images and targets as tuples."""
    return tuple(zip(*batch, strict=True))


def reference_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    batch: tuple[Any, ...],
    device: torch.device,
    *,
    bf16: bool = False,
) -> None:
    """One iteration of ``train_one_epoch``."""
    images = [image.to(device) for image in batch[0]]
    targets = [{name: value.to(device) for name, value in target.items()} for target in batch[1]]
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        parts = network(images, targets)
        loss = sum(parts.values())
    reduced = sum(part.detach() for part in parts.values()).item()
    if not math.isfinite(reduced):
        raise ValueError(f"the loss of the reference is {reduced}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
