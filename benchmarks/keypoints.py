"""Decoding of heat maps: 1,000 objects with 17 keypoints each, against the highest cell alone, which is less exact."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.figures import Figure, show
from sightline.tasks.keypoints.maps import decode_maps, map_targets

OBJECTS, KEYPOINTS, HEIGHT, WIDTH, SIGMA = 1000, 17, 64, 48, 2.0
RUNS, TARGET_SECONDS = 5, 1.0


def noisy_maps() -> tuple[torch.Tensor, torch.Tensor]:
    """Maps as a trained network gives them: Gaussians around keypoints, with noise; and the keypoints [N, K, 3]."""
    generator = torch.Generator().manual_seed(0)
    places = torch.rand((OBJECTS, KEYPOINTS, 2), generator=generator) * torch.tensor([WIDTH - 12, HEIGHT - 12]) + 6
    points = torch.cat((places, torch.full((OBJECTS, KEYPOINTS, 1), 2.0)), dim=-1)
    targets, _ = map_targets(points, HEIGHT, WIDTH, SIGMA)
    noise = 1 + 0.1 * torch.randn(targets.shape, generator=generator)
    return torch.log((targets * noise).clamp(min=1e-9)), points


def highest_cells(logits: torch.Tensor) -> torch.Tensor:
    """The middle of the highest cell of each map: [N, K, 2]."""
    index = logits.flatten(2).argmax(dim=-1)
    return torch.stack((index % WIDTH, index // WIDTH), dim=-1) + 0.5


def median_seconds(decode: Callable[[], object]) -> float:
    """The median time of a call, after a warm-up."""
    decode()
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        decode()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def measure() -> list[Figure]:
    """The figures of this benchmark."""
    logits, points = noisy_maps()
    with torch.inference_mode():
        found = median_seconds(lambda: decode_maps(logits, SIGMA))
        highest = median_seconds(lambda: highest_cells(logits))
        errors = [
            (places - points[..., :2]).norm(dim=-1).mean().item()
            for places in (decode_maps(logits, SIGMA)[..., :2], highest_cells(logits))
        ]
    return [
        Figure(
            f"decode {OBJECTS:,} x {KEYPOINTS} heat maps of {HEIGHT} x {WIDTH}, median of {RUNS}",
            f"{found:.2f} s",
            f"highest cells {highest:.2f} s",
            highest / found,
            f"< {TARGET_SECONDS:g} s",
            found < TARGET_SECONDS,
        ),
        Figure(
            "mean error of decoding",
            f"{errors[0]:.3f} cells",
            f"highest cells {errors[1]:.3f} cells",
            errors[1] / errors[0],
        ),
    ]


if __name__ == "__main__":
    show("Keypoints", measure())
