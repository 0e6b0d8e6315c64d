"""Draws outlines at the size of the mask loss, within proposals: no bitmap of a whole image, and no rounded point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from sightline.data.formats.coco import Segmentation
from sightline.data.rasterizer import rasterize

SAMPLES = 2
"""Sampling points per cell in both directions."""


def mask_targets(
    outlines: Sequence[Segmentation], matched: torch.Tensor, boxes_xyxy: torch.Tensor, cells: int
) -> torch.Tensor:
    """The share of each cell of each box that an outline covers.

    Args:
        outlines: The outlines of an image.
        matched: int64 [P], the outline of each box.
        boxes_xyxy: float32 [P, 4], pixels, within the image.
        cells: Rows and columns that a box is divided into.

    Returns:
        float32 [P, cells, cells], 0 to 1, on the device of the boxes.
    """
    targets = _covered_by_polygons(outlines, matched, boxes_xyxy, cells)
    encoded = [index for index, outline in enumerate(outlines) if isinstance(outline, dict)]
    if encoded:
        chosen, boxes = matched.cpu().numpy(), boxes_xyxy.float().cpu().numpy()
        for index in np.intersect1d(encoded, chosen).tolist():
            places = np.flatnonzero(chosen == index)
            drawn = torch.from_numpy(_covered_by_mask(outlines[index], boxes[places], cells))
            targets[torch.from_numpy(places).to(targets.device)] = drawn.to(targets.device)
    return targets


def _covered_by_mask(
    encoding: Segmentation, boxes_xyxy: npt.NDArray[np.float32], cells: int
) -> npt.NDArray[np.float32]:
    """The average of the pixels of a run-length encoding in each cell."""
    assert isinstance(encoding, dict)  # noqa: S101
    height, width = encoding["size"]
    mask = Image.fromarray(255 * rasterize(encoding, height, width))
    drawn = np.empty((len(boxes_xyxy), cells, cells), dtype=np.float32)
    for target, box in zip(drawn, boxes_xyxy.clip(0, (width, height, width, height)).tolist(), strict=True):
        target[:] = np.asarray(mask.resize((cells, cells), Image.Resampling.BOX, box=tuple(box)))
    return drawn / np.float32(255)


def _covered_by_polygons(
    outlines: Sequence[Segmentation], matched: torch.Tensor, boxes_xyxy: torch.Tensor, cells: int
) -> torch.Tensor:
    """Sampling points inside the polygons of each box's outline, by the even-odd rule, averaged over the cells.

    A point is inside a polygon if an odd number of its edges cross the row of the point to the left of it.
    """
    device, points = boxes_xyxy.device, cells * SAMPLES
    edges, polygon_of_edge, outline_of_polygon = (part.to(device) for part in _edges(outlines))
    # All pairs of a box and a polygon of its outline, and all pairs of such a pair and an edge of the polygon.
    box, polygon = torch.nonzero(matched[:, None] == outline_of_polygon[None, :], as_tuple=True)
    pair, edge = torch.nonzero(polygon[:, None] == polygon_of_edge[None, :], as_tuple=True)
    boxes = boxes_xyxy.to(torch.float32)[box[pair]]
    corners, sides = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None, :]
    x, y = ((edges[edge] - corners) / sides * points).unbind(dim=2)  # [edges, 2] each, in sampling points
    rows = torch.arange(points, device=device) + 0.5
    crosses = (y[:, :1] <= rows) != (y[:, 1:] <= rows)
    slope = (x[:, 1] - x[:, 0]) / torch.where(y[:, 1] == y[:, 0], 1, y[:, 1] - y[:, 0])
    left_of = x[:, :1] + (rows - y[:, :1]) * slope[:, None]
    column = torch.ceil(left_of - 0.5).clamp(0, points).long()
    number, row = torch.nonzero(crosses, as_tuple=True)
    place = (pair[number] * points + row) * (points + 1) + column[number, row]
    toggles = torch.bincount(place, minlength=len(box) * points * (points + 1))
    inside = toggles.view(-1, points, points + 1).cumsum(dim=2)[..., :points] % 2
    covered = torch.zeros((len(boxes_xyxy), points, points), device=device)
    covered.index_add_(0, box, inside.to(covered.dtype))  # the union of polygons
    return covered.clamp(max=1).view(-1, cells, SAMPLES, cells, SAMPLES).mean(dim=(2, 4))


def _edges(outlines: Sequence[Segmentation]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All polygons of outlines: edges float32 [E, 2, 2], the polygon of each edge, and the outline of each polygon."""
    polygons = [
        (index, np.asarray(polygon, dtype=np.float32).reshape(-1, 2))
        for index, outline in enumerate(outlines)
        if not isinstance(outline, dict)
        for polygon in outline
    ]
    edges = [np.stack([points, np.roll(points, -1, axis=0)], axis=1) for _, points in polygons]
    lengths = [len(points) for _, points in polygons]
    return (
        torch.from_numpy(np.concatenate(edges) if edges else np.zeros((0, 2, 2), dtype=np.float32)),
        torch.from_numpy(np.repeat(np.arange(len(polygons)), lengths)),
        torch.tensor([index for index, _ in polygons], dtype=torch.int64),
    )
