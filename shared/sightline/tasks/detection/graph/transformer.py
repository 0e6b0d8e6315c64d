"""RF-DETR as one graph, for square images of one size."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear, pad, scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from sightline.tasks.detection.graph.boxes import Normalization, clip_boxes, rows_at
from sightline.tasks.detection.graph.suppression import ONNX_TRANSLATIONS
from sightline.tasks.detection.transformer import MASK_SIZE, TransformerDetector


class TransformerGraph(nn.Module):
    """Predicts what RF-DETR predicts in evaluation mode for images that are padded to the square of its input size.

    Args:
        detector: The detector; it is copied, because the package changes a network for export.
    """

    outputs: tuple[str, ...]
    translations = ONNX_TRANSLATIONS
    any_size = False

    def __init__(self, detector: TransformerDetector) -> None:
        super().__init__()
        self.outputs = ("boxes", "scores", "labels", *(["masks"] if detector.has_masks else []))
        self.normalization = Normalization(detector.transform.mean, detector.transform.std)
        self._block, self._threshold = detector.block, detector.score_threshold
        self._detections = detector.max_detections
        network: Any = copy.deepcopy(detector.network)
        side = detector.canvas_side
        network.backbone[0].encoder.shape = (side, side)  # position embeddings are resized once, to this size
        network.export()
        for layer in network.transformer.decoder.layers:
            layer.self_attn = _Attention(layer.self_attn)
        self.network = network

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Detect objects; as :meth:`sightline.tasks.detection.graph.two_stages.TwoStageGraph.forward`.

        The masks have :data:`~sightline.tasks.detection.transformer.MASK_SIZE` rows and columns.
        """
        height, width = images.shape[2:]
        pixels = pad(self.normalization(images, sizes), (0, -width % self._block, 0, -height % self._block))
        with _Copies():
            regions, logits, *masks = self.network(pixels)
        probabilities = logits.sigmoid()
        classes = probabilities.shape[2]
        probabilities = torch.cat((torch.zeros_like(probabilities[..., :1]), probabilities[..., 1:]), dim=2).flatten(1)
        scores, place = probabilities.topk(min(self._detections, probabilities.shape[1]), dim=1)
        scores = torch.where(scores > self._threshold, scores, 0.0)
        query = place // classes
        center, size = rows_at(regions, query).chunk(2, dim=2)
        canvas = regions.new_tensor([pixels.shape[3], pixels.shape[2]] * 2)
        boxes = clip_boxes(torch.cat((center - size / 2, center + size / 2), dim=2) * canvas, sizes)
        boxes = boxes * (scores > 0)[..., None]
        labels = torch.where(scores > 0, place % classes, 0)
        if not masks:
            return boxes, scores, labels
        return boxes, scores, labels, _within(masks[0], query, boxes, masks[0].shape[3] / pixels.shape[3])


class _Attention(nn.Module):
    """The attention of PyTorch's module, which cannot be traced for batches of any size.

    Args:
        attention: The module, with the batch first.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.inner, self.outer, self.heads = attention.in_proj_weight, attention.out_proj, attention.num_heads
        self.bias = attention.in_proj_bias

    def forward(self, *inputs: torch.Tensor, **_: object) -> tuple[torch.Tensor, None]:
        """The result for queries, keys and values, each [B, N, C]; nothing is masked."""
        parts = zip(inputs, self.inner.chunk(3), self.bias.chunk(3), strict=True)
        heads = (linear(*part).reshape(*inputs[0].shape[:2], self.heads, -1) for part in parts)
        query, key, value = (part.transpose(1, 2) for part in heads)
        found = scaled_dot_product_attention(query, key, value).transpose(1, 2)
        return self.outer(found.reshape(*found.shape[:2], -1)), None


class _Copies(TorchFunctionMode):
    """Lets tensors be copied before their shape changes.

    Whether a view is enough may depend on whether the batch is a single image, and then no graph for all batches can be
    traced.  Graphs have no views; the copies vanish.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:  # noqa: ANN401
        if func is torch.Tensor.contiguous:
            return args[0].clone(memory_format=torch.contiguous_format)
        if func is torch.Tensor.reshape:
            args = (args[0].clone(memory_format=torch.contiguous_format), *args[1:])
        return func(*args, **(kwargs or {}))


def _within(logits: torch.Tensor, query: torch.Tensor, boxes: torch.Tensor, scale: float) -> torch.Tensor:
    """Masks of images, logits [B, Q, H, W], as probabilities in boxes [B, D, 4] of queries [B, D]: [B, D, M, M]."""
    batch, count = query.shape
    rows = query[..., None, None].expand(batch, count, *logits.shape[2:])
    chosen = logits.gather(1, rows).reshape(-1, 1, *logits.shape[2:])
    image = torch.arange(chosen.shape[0], device=boxes.device, dtype=boxes.dtype)[:, None]
    regions = torch.cat((image, boxes.reshape(-1, 4)), dim=1)
    pooled = torch.ops.torchvision.roi_align(chosen, regions, scale, MASK_SIZE, MASK_SIZE, 1, True)
    masks: torch.Tensor = pooled.sigmoid().reshape(batch, count, MASK_SIZE, MASK_SIZE)
    return masks
