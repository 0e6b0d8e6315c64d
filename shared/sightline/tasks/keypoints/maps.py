"""Heat maps of keypoints: targets, loss and decoding, the same for all networks.

A map is a distribution over its cells: the softmax of what the network returns.  Coordinates are continuous, and cell
``i`` extends from ``i`` to ``i + 1``, for targets, decoding, crops and mirrored crops alike, so that no step shifts a
keypoint (Huang et al., 2020, arXiv 1911.07524).
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import log_softmax

_BLUR_SIGMA, _BLUR_RADIUS = 1.0, 3
_SMALLEST = 1e-12
_FARTHEST = 1.0
"""The largest distance of a decoded keypoint from the middle of the highest cell, in cells and for each axis."""


def map_targets(points: torch.Tensor, height: int, width: int, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussians around keypoints.

    Args:
        points: float32 [N, K, 3]: x and y in cells, and visibility; visible and hidden keypoints count alike.
        height: Rows of a map.
        width: Columns of a map.
        sigma: Standard deviation in cells.

    Returns:
        Targets float32 [N, K, height, width], each with a sum of 1; and weights float32 [N, K], 1 for labeled keypoints
        within the map, else 0.
    """
    x, y, visibility = points.unbind(dim=-1)
    columns = torch.arange(width, device=points.device) + 0.5
    rows = torch.arange(height, device=points.device) + 0.5
    across = torch.softmax(-((columns - x[..., None]) ** 2) / (2 * sigma**2), dim=-1)
    down = torch.softmax(-((rows - y[..., None]) ** 2) / (2 * sigma**2), dim=-1)
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height) & (visibility > 0)
    return down[..., :, None] * across[..., None, :], inside.to(points.dtype)


def map_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The Kullback-Leibler divergence of maps from their targets: float32 [N, K]; 0 for a perfect map.

    Args:
        logits: float [N, K, H, W].
        targets: float32 [N, K, H, W], each with a sum of 1.
    """
    predicted = log_softmax(logits.float().flatten(2), dim=-1)
    wanted = targets.flatten(2)
    divergence: torch.Tensor = (torch.xlogy(wanted, wanted) - wanted * predicted).sum(dim=-1)
    return divergence


def decode_maps(logits: torch.Tensor, sigma: float) -> torch.Tensor:
    """The keypoints of maps, more exact than a cell (DARK: Zhang et al., 2020, arXiv 1910.06278).

    The logarithm of the smoothed map around its highest cell is taken as a quadratic function, as that of a Gaussian is,
    whose maximum follows from its derivatives.  Only the neighborhood of the highest cell is smoothed.

    Args:
        logits: float32 [N, K, H, W].
        sigma: Standard deviation of the targets, cells.

    Returns:
        float32 [N, K, 3]: x and y in cells, and score: the share of the map within two sigmas of the highest cell.
    """
    height, width = logits.shape[2:]
    flat = logits.flatten(2)
    highest, index = flat.max(dim=-1)
    total = torch.exp(flat - highest[..., None]).sum(dim=-1)
    row, column = index // width, index % width
    near = max(1, math.ceil(2 * sigma))
    radius = max(near, _BLUR_RADIUS + 1)
    steps = torch.arange(-radius, radius + 1, device=logits.device)
    rows, columns = row[..., None] + steps, column[..., None] + steps
    inside = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    places = rows.clamp(0, height - 1)[..., :, None] * width + columns.clamp(0, width - 1)[..., None, :]
    values = flat.gather(2, places.flatten(2)).reshape(places.shape)
    shares = torch.exp(values - highest[..., None, None]) * inside / total[..., None, None]
    first, stop = radius - near, radius + near + 1
    score = shares[..., first:stop, first:stop].sum(dim=(-2, -1))
    x, y = _peak(shares, radius)
    return torch.stack((column + 0.5 + x, row + 0.5 + y, score.clamp(0, 1)), dim=-1)


def _peak(shares: torch.Tensor, radius: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The maximum near the middle of patches [N, K, D, D], relative to the middle of the patch, in cells: x and y."""
    smooth = _smoothing(radius).to(shares)
    log = torch.log(torch.matmul(torch.matmul(smooth, shares), smooth.T).clamp(min=_SMALLEST))
    left, right = log[..., 1, 0], log[..., 1, 2]
    above, below = log[..., 0, 1], log[..., 2, 1]
    middle = log[..., 1, 1]
    dx, dy = (right - left) / 2, (below - above) / 2
    dxx, dyy = right - 2 * middle + left, below - 2 * middle + above
    dxy = (log[..., 2, 2] - log[..., 2, 0] - log[..., 0, 2] + log[..., 0, 0]) / 4
    determinant = dxx * dyy - dxy**2
    is_peak = (determinant > _SMALLEST) & (dxx < 0)
    divisor = torch.where(is_peak, determinant, 1.0)
    x, y = (dxy * dy - dyy * dx) / divisor, (dxy * dx - dxx * dy) / divisor
    return tuple(torch.where(is_peak, step, 0.0).clamp(-_FARTHEST, _FARTHEST) for step in (x, y))  # type: ignore[return-value]


def _smoothing(radius: int) -> torch.Tensor:
    """The matrix [3, 2 * radius + 1] that gives the smoothed values at -1, 0 and 1."""
    distance = torch.arange(-radius, radius + 1)[None] - torch.arange(-1, 2)[:, None]
    return torch.exp(-(distance**2) / (2 * _BLUR_SIGMA**2)) * (distance.abs() <= _BLUR_RADIUS)
