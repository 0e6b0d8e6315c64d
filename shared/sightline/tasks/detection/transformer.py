"""RF-DETR with the interface of torchvision's detectors.

The network is built by the package ``rfdetr`` with random weights, and never downloads any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pad
from torchvision.ops import roi_align

from sightline.data.rasterizer import rasterize
from sightline.models.preprocessing import InputBatch, Preprocessing
from sightline.models.rfdetr_package import package_settings, quiet_package
from sightline.tasks.detection.transformer_settings import RfDetr

MASK_SIZE = 56
"""Rows and columns of a predicted mask within its box."""

_OWN = "network."


def load_transformer(model: RfDetr, num_classes: int, *, masks: bool) -> nn.Module:
    """Build RF-DETR with random weights.

    Args:
        model: The section ``model`` of the configuration.
        num_classes: Number of classes without the background, which is label 0.
        masks: Whether it predicts masks.
    """
    return TransformerDetector(model, num_classes, masks=masks)


class TransformerDetector(nn.Module):
    """RF-DETR as a detector.

    In training mode it takes images (uint8 [3, H, W], fitted to the input size) and targets (``boxes`` float32 [N, 4]
    xyxy, ``labels`` int64 [N], ``seed`` and, with masks, ``outlines``) and returns its losses by name; in evaluation
    mode it returns for each image ``boxes`` (input pixels), ``scores``, ``labels`` and, with masks, ``masks`` (float32
    [N, 1, 56, 56], probabilities within the box).

    Args:
        model: The section ``model`` of the configuration.
        num_classes: Number of classes without the background.
        masks: Whether it predicts masks.

    Attributes:
        network: The network of the package.
        block: The sides of its input are multiples of this number of pixels.
        canvas_side: The sides of its input for the largest image, pixels.
        has_masks: Whether it predicts masks.
        max_detections: Maximum number of detections per image.
        score_threshold: Detections have a higher score.
        body_prefix: The beginning of the names of all tensors of the body.
    """

    body_prefix = f"{_OWN}backbone.0.encoder."

    def __init__(self, model: RfDetr, num_classes: int, *, masks: bool) -> None:
        super().__init__()
        kind = package_settings(model.size, masks=masks)
        patch = kind.model_fields["patch_size"].default
        self._positions = -(-model.image_size // patch)
        with quiet_package():
            from rfdetr import config
            from rfdetr.models.lwdetr import build_criterion_from_config, build_model_from_config

            network = kind(
                pretrain_weights="none",  # anything but None, for which the package downloads a body
                device="cpu",
                num_classes=num_classes,
                resolution=model.image_size,
                positional_encoding_size=self._positions,
            )
            training: Any = config.SegmentationTrainConfig if masks else config.TrainConfig
            settings = training(dataset_dir=".", output_dir=".")
            self.network = build_model_from_config(network, settings)
            criterion, _ = build_criterion_from_config(network, settings)
        self._criterion = (criterion,)  # a tuple, because it is not part of the weights
        self.block = patch * network.num_windows
        self.canvas_side = -(-InputBatch.padded(model.image_size) // self.block) * self.block
        self.has_masks = masks
        self.max_detections, self.score_threshold = model.max_detections, model.score_threshold
        self.transform = InputBatch(Preprocessing(model.image_size))

    def forward(
        self, images: list[torch.Tensor], targets: list[dict[str, Any]] | None = None
    ) -> dict[str, torch.Tensor] | list[dict[str, torch.Tensor]]:
        """Losses in training mode, detections in evaluation mode."""
        batch, _ = self.transform(images, targets)
        height, width = batch.tensors.shape[2:]
        pixels = pad(batch.tensors, (0, -width % self.block, 0, -height % self.block))
        if not self.training:
            return self._detect(self._run(pixels), batch.image_sizes, pixels.shape[2:])
        assert targets is not None  # noqa: S101
        wanted = [self._target(*pair, pixels) for pair in zip(targets, batch.image_sizes, strict=True)]
        with _seeded([target["seed"] for target in targets], pixels.device):
            return self._losses(self._run(pixels, wanted), wanted)

    def in_own_names(self, tensors: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """Tensors of a checkpoint of the package, or of a network like this one, with the names of this one.

        Position embeddings are resized to the image size of this network.
        """
        with quiet_package():
            from rfdetr.models.weights import interpolate_position_embeddings

        own = {name if name.startswith(_OWN) else _OWN + name: tensor for name, tensor in tensors.items()}
        interpolate_position_embeddings(own, self._positions)
        return own

    def _losses(self, outputs: dict[str, Any], wanted: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """The losses by name, summed over the layers of the decoder."""
        (criterion,) = self._criterion
        objects = sum(len(target["labels"]) for target in wanted)
        # Without the number, the criterion would ask all processes for it, which need not have equally many batches.
        number = float(max(1, objects * criterion.group_detr))
        # TorchScript would optimize its functions after a few calls, so that a resumed process would round differently.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            parts: dict[str, torch.Tensor] = criterion(outputs, wanted, number)
        losses: dict[str, torch.Tensor] = {}
        for name, loss in parts.items():
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
        if self.has_masks:
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
            scores, place = probabilities.flatten().topk(min(self.max_detections, probabilities.numel()))
            place, scores = place[scores > self.score_threshold], scores[scores > self.score_threshold]
            center, size = outputs["pred_boxes"][index, place // classes].float().split(2, dim=1)
            boxes = torch.cat((center - size / 2, center + size / 2), dim=1) * scale
            boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
            one = {"boxes": boxes, "scores": scores, "labels": place % classes}
            if self.has_masks:
                logits = outputs["pred_masks"][index, place // classes].float()
                one["masks"] = _within(logits, boxes, logits.shape[2] / canvas[1])
            found.append(one)
        return found


@contextmanager
def _seeded(seeds: Sequence[int], device: torch.device) -> Iterator[None]:
    """Seed PyTorch's global generators, and restore them at the end.

    The package takes the random points of the mask loss from them, for all images at once.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]))
        yield


def _within(logits: torch.Tensor, boxes: torch.Tensor, scale: float) -> torch.Tensor:
    """Masks of whole images, logits [N, H, W], as probabilities in their boxes [N, 4]: [N, 1, 56, 56]."""
    rows = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None]
    pooled: torch.Tensor = roi_align(
        logits[:, None], torch.cat((rows, boxes), dim=1), MASK_SIZE, scale, sampling_ratio=1, aligned=True
    )
    return pooled.sigmoid()
