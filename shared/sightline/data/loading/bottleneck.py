"""Advice for a training that waits for its data."""

from __future__ import annotations

from dataclasses import dataclass

WAIT_SHARE = 0.2
"""A training that waits for data for more than this share of its time gets advice."""


@dataclass(frozen=True, slots=True)
class LoadingFacts:
    """What determines the speed of the data path.

    Attributes:
        workers: Number of workers of this process.
        cpus: CPUs that this process may use.
        image_bytes: Size of all decoded images at the size of the network's input, bytes.
        cache_ram_bytes: Limit of the cache in memory, bytes.
        cache_disk_bytes: Limit of the cache on disk, bytes; 0: none.
    """

    workers: int
    cpus: int
    image_bytes: int
    cache_ram_bytes: int
    cache_disk_bytes: int


def data_wait_advice(wait_share: float, facts: LoadingFacts) -> str:
    """What to change if a training waits for data; empty if it does not.

    Args:
        wait_share: Share of the time that the training waited for batches, 0 to 1.
        facts: The data path of the training.

    Example:
        >>> data_wait_advice(0.35, LoadingFacts(1, 8, 2 * 10**9, 10**8, 0))
        'the network waits 35 % of the time for data: set train.workers=7 (now 1, of 8 CPUs)'
    """
    if wait_share <= WAIT_SHARE:
        return ""
    return f"the network waits {100 * wait_share:.0f} % of the time for data: {_remedy(facts)}"


def _remedy(facts: LoadingFacts) -> str:
    spare = facts.cpus - 1
    if facts.workers < min(spare, 8):
        return f"set train.workers={min(spare, 8)} (now {facts.workers}, of {facts.cpus} CPUs)"
    cached = facts.cache_ram_bytes / max(1, facts.image_bytes)
    if cached < 1 and facts.cache_disk_bytes < facts.image_bytes:
        size = facts.image_bytes / 2**30
        return (
            f"decoding images is the bottleneck; the cache holds {100 * cached:.0f} % of them, so set "
            f"train.cache_ram_gb={size:.1f} if there is memory for it, or train.cache_disk_gb={size:.1f}"
        )
    return (
        f"augmentation is the bottleneck; all {facts.cpus} CPUs are in use, so use more CPUs, remove expensive entries "
        "of train.augmentation (mosaic, noise, blur, jpeg, perspective), or set a smaller model.image_size"
    )
