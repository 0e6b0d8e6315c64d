"""RF-DETR with the interface of torchvision's detectors.

The network is built by the package ``rfdetr`` with random weights, and never downloads any.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.nn.functional import pad
from torchvision.ops import roi_align

from sightline.data.rasterizer import rasterize
from sightline.models.preprocessing import InputBatch, Preprocessing
from sightline.tasks.detection.transformer_settings import RfDetr

_MASK_SIZE = 56
"""Rows and columns of a predicted mask within its box."""


def load_transformer(model: RfDetr, num_classes: int, *, masks: bool) -> nn.Module:
    """Build RF-DETR with random weights.

    Args:
        model: The section ``model`` of the configuration.
        num_classes: Number of classes without the background, which is label 0.
        masks: Whether it predicts masks.
    """
    return TransformerDetector(model, num_classes, masks=masks)


@contextmanager
def _kept_image_limit() -> Iterator[None]:
    """Keep Pillow's limit for the size of images, which a module of the package raises for the whole process."""
    limit = Image.MAX_IMAGE_PIXELS
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


class TransformerDetector(nn.Module):
    """RF-DETR as a detector.

    In training mode it takes images (uint8 [3, H, W], fitted to the input size) and targets (``boxes`` float32 [N, 4]
    xyxy, ``labels`` int64 [N] and, with masks, ``outlines``) and returns its losses by name; in evaluation mode it
    returns for each image ``boxes`` (input pixels), ``scores``, ``labels`` and, with masks, ``masks`` (float32 [N, 1,
    56, 56], probabilities within the box).

    Args:
        model: The section ``model`` of the configuration.
        num_classes: Number of classes without the background.
        masks: Whether it predicts masks.
    """

    def __init__(self, model: RfDetr, num_classes: int, *, masks: bool) -> None:
        super().__init__()
        with warnings.catch_warnings(), _kept_image_limit():
            warnings.simplefilter("ignore")  # of transformers, about versions of torch
            from rfdetr import config
            from rfdetr.models.lwdetr import build_criterion_from_config, build_model_from_config

            kind: Any = getattr(config, f"RFDETR{'Seg' * masks}{model.size.capitalize()}Config")
            patch = kind.model_fields["patch_size"].default
            network = kind(
                pretrain_weights="none",  # anything but None, for which the package downloads a body
                device="cpu",
                num_classes=num_classes,
                resolution=model.image_size,
                positional_encoding_size=-(-model.image_size // patch),
            )
            training: Any = config.SegmentationTrainConfig if masks else config.TrainConfig
            settings = training(dataset_dir=".", output_dir=".")
            self.network = build_model_from_config(network, settings)
            criterion, _ = build_criterion_from_config(network, settings)
        self._criterion = (criterion,)  # a tuple, because it is not part of the weights
        self._block = patch * network.num_windows
        self._masks = masks
        self._detections, self._threshold = model.max_detections, model.score_threshold
        self.transform = InputBatch(Preprocessing(model.image_size))

    def forward(
        self, images: list[torch.Tensor], targets: list[dict[str, Any]] | None = None
    ) -> dict[str, torch.Tensor] | list[dict[str, torch.Tensor]]:
        """Losses in training mode, detections in evaluation mode."""
        batch, _ = self.transform(images, targets)
        height, width = batch.tensors.shape[2:]
        pixels = pad(batch.tensors, (0, -width % self._block, 0, -height % self._block))
        if not self.training:
            return self._detect(self._run(pixels), batch.image_sizes, pixels.shape[2:])
        assert targets is not None  # noqa: S101
        wanted = [self._target(*pair, pixels) for pair in zip(targets, batch.image_sizes, strict=True)]
        outputs = self._run(pixels, wanted)
        (criterion,) = self._criterion
        losses: dict[str, torch.Tensor] = {}
        for name, loss in criterion(outputs, wanted).items():
            if name in criterion.weight_dict:  # "loss_bbox_0": a loss at an inner layer of the decoder
                part = name.removesuffix("_enc").rstrip("0123456789").rstrip("_")
                losses[part] = losses.get(part, 0.0) + criterion.weight_dict[name] * loss
        return losses

    def _run(self, pixels: torch.Tensor, targets: list[dict[str, torch.Tensor]] | None = None) -> dict[str, Any]:
        from rfdetr.utilities.tensors import NestedTensor

        everything = torch.zeros(pixels.shape[0], *pixels.shape[2:], dtype=torch.bool, device=pixels.device)
        outputs: dict[str, Any] = self.network(NestedTensor(pixels, everything), targets)
        return outputs

    def _target(self, target: dict[str, Any], size: tuple[int, int], pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """The target in the form of DETR: boxes as center and size, in fractions of the padded image."""
        height, width = pixels.shape[2:]
        corners = target["boxes"] / target["boxes"].new_tensor([width, height, width, height])
        low, high = corners[:, :2], corners[:, 2:]
        wanted = {"boxes": torch.cat(((low + high) / 2, high - low), dim=1), "labels": target["labels"]}
        if self._masks:
            masks = torch.zeros(len(corners), height, width, dtype=torch.bool)
            for mask, outline in zip(masks, target["outlines"], strict=True):
                mask[: size[0], : size[1]] = torch.from_numpy(rasterize(outline, *size)).bool()
            wanted["masks"] = masks.to(pixels.device)
        return wanted

    def _detect(
        self, outputs: dict[str, Any], sizes: list[tuple[int, int]], canvas: torch.Size
    ) -> list[dict[str, torch.Tensor]]:
        found = []
        scale = outputs["pred_boxes"].new_tensor([canvas[1], canvas[0], canvas[1], canvas[0]])
        for index, (height, width) in enumerate(sizes):
            probabilities = outputs["pred_logits"][index].float().sigmoid()
            classes = probabilities.shape[1]
            probabilities = probabilities.index_fill(1, probabilities.new_zeros(1, dtype=torch.int64), 0.0)
            scores, place = probabilities.flatten().topk(min(self._detections, probabilities.numel()))
            place, scores = place[scores > self._threshold], scores[scores > self._threshold]
            center, size = outputs["pred_boxes"][index, place // classes].float().split(2, dim=1)
            boxes = torch.cat((center - size / 2, center + size / 2), dim=1) * scale
            boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
            one = {"boxes": boxes, "scores": scores, "labels": place % classes}
            if self._masks:
                logits = outputs["pred_masks"][index, place // classes].float()
                one["masks"] = _within(logits, boxes, logits.shape[2] / canvas[1])
            found.append(one)
        return found


def _within(logits: torch.Tensor, boxes: torch.Tensor, scale: float) -> torch.Tensor:
    """Masks of whole images, logits [N, H, W], as probabilities in their boxes [N, 4]: [N, 1, 56, 56]."""
    rows = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None]
    pooled: torch.Tensor = roi_align(
        logits[:, None], torch.cat((rows, boxes), dim=1), _MASK_SIZE, scale, sampling_ratio=1, aligned=True
    )
    return pooled.sigmoid()
