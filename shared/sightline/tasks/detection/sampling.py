"""Random choice of the anchors and proposals that a two-stage detector is trained on, by a seed for each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class SeededSampler:
    """Chooses positives and negatives of each image; replaces torchvision's ``BalancedPositiveNegativeSampler``.

    That one draws from the global generator, so that the choice for an image depends on all images before it.  Here it
    depends on the image's own seed, whatever the micro-batch or process the image is in.

    Args:
        samples: Number of anchors or proposals to choose per image.
        positive_share: Maximum fraction of positives among them; negatives fill the rest.
        stage: Separates the random numbers of several samplers with the same seeds.
    """

    def __init__(self, samples: int, positive_share: float, stage: int) -> None:
        self._samples, self._positive_share, self._stage = samples, positive_share, stage
        self._seeds: Sequence[int] = ()

    def use(self, seeds: Sequence[int]) -> None:
        """Use these seeds, one per image, for the next batches; without any, the global generator is used."""
        self._seeds = seeds

    def __call__(self, labels: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Choose for each image.

        Args:
            labels: [N] for each image: at least 1 for a positive, 0 for a negative, -1 to leave out.

        Returns:
            The chosen positives, and the chosen negatives of each image: uint8 [N], 1 if chosen.
        """
        pairs = [self._choose(of_image, self._generator(of_image, index)) for index, of_image in enumerate(labels)]
        return [positive for positive, _ in pairs], [negative for _, negative in pairs]

    def _generator(self, labels: torch.Tensor, index: int) -> torch.Generator | None:
        if not self._seeds:
            return None
        return torch.Generator(labels.device).manual_seed((self._seeds[index] + self._stage) % 2**63)

    def _choose(self, labels: torch.Tensor, generator: torch.Generator | None) -> tuple[torch.Tensor, torch.Tensor]:
        candidates = torch.where(labels >= 1)[0], torch.where(labels == 0)[0]
        positives = min(len(candidates[0]), int(self._samples * self._positive_share))
        counts = positives, min(len(candidates[1]), self._samples - positives)
        chosen = torch.zeros_like(labels, dtype=torch.uint8), torch.zeros_like(labels, dtype=torch.uint8)
        for mask, indices, count in zip(chosen, candidates, counts, strict=True):
            order = torch.randperm(len(indices), generator=generator, device=labels.device)
            mask[indices[order[:count]]] = 1
        return chosen


@contextmanager
def sampling_seeds(network: nn.Module, seeds: Sequence[int]) -> Iterator[None]:
    """Let the samplers of a network use these seeds, one for each image of the batch."""
    samplers = [getattr(module, "fg_bg_sampler", None) for module in network.modules()]
    used = [sampler for sampler in samplers if isinstance(sampler, SeededSampler)]
    for sampler in used:
        sampler.use(seeds)
    try:
        yield
    finally:
        for sampler in used:
            sampler.use(())


def seed_sampling(network: nn.Module) -> None:
    """Replace the samplers of a two-stage detector of torchvision by :class:`SeededSampler`."""
    stages: list[Any] = [module for module in network.modules() if hasattr(module, "fg_bg_sampler")]
    for stage, module in enumerate(stages):
        sampler = module.fg_bg_sampler
        module.fg_bg_sampler = SeededSampler(sampler.batch_size_per_image, sampler.positive_fraction, stage)
