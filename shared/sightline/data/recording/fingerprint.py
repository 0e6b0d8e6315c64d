"""Finds images that belong together: same group, same bytes, or similar perceptual hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

HASH_BITS = 64

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]


class Components:
    """Connected components (union-find).

    Example:
        >>> components = Components(4)
        >>> components.tie(0, 2)
        >>> components.labels.tolist()
        [0, 1, 0, 3]

    Attributes:
        labels: int64 [N]; items with the same label are in the same set.
    """

    def __init__(self, size: int) -> None:
        self.labels = np.arange(size, dtype=np.int64)
        self._members = [[index] for index in range(size)]

    def tie(self, one: int, other: int) -> None:
        """Merge the sets of ``one`` and ``other``; the smaller set is relabeled."""
        kept, gone = int(self.labels[one]), int(self.labels[other])
        if kept == gone:
            return
        if len(self._members[kept]) < len(self._members[gone]):
            kept, gone = gone, kept
        self.labels[self._members[gone]] = kept
        self._members[kept] += self._members[gone]
        self._members[gone] = []

    def sets(self) -> list[list[int]]:
        """The members of each set, ascending; the sets in the order of their first members."""
        return sorted(sorted(members) for members in self._members if members)


def tie_images(hashes: Hashes, keys: Sequence[Sequence[str]], distance: int | None) -> Components:
    """Connect images that must be in the same split.

    Args:
        hashes: uint64 [N], perceptual hashes.
        keys: N sequences; images with the same key at the same position (their group, their sha256) are connected.
        distance: Hashes that differ in at most this many bits are connected, 0 to 64; None: not even equal ones.
    """
    components = Components(len(hashes))
    first: dict[tuple[int, str], int] = {}
    for index, of_image in enumerate(keys):
        for key in enumerate(of_image):
            components.tie(first.setdefault(key, index), index)
    if distance is None:
        return components
    unique, representatives, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    for index, representative in enumerate(representatives[inverse]):
        components.tie(int(representative), index)
    for index, near in near_pairs(unique, distance):
        one = int(representatives[index])
        for other in representatives[near]:
            components.tie(one, int(other))
    return components


def near_pairs(hashes: Hashes, distance: int) -> Iterator[tuple[int, Indices]]:
    """Yield every pair of hashes that differ in at most ``distance`` bits, as ``(index, other indices)``.

    If hashes are cut into ``distance + 1`` bands, at least one band of a pair is equal (the pigeonhole principle), so
    only hashes with an equal band are compared: multi-index hashing, Norouzi, Punjani and Fleet, "Fast Search in
        Hamming
    Space with Multi-Index Hashing", CVPR 2012.  A pair may be yielded more than once.

    Args:
        hashes: uint64 [N], unique values.
        distance: 0 to 64 bits.
    """
    if distance == 0 or len(hashes) < 2:
        return
    for bucket in _buckets(hashes, distance):
        values = hashes[bucket]
        for row in range(len(bucket) - 1):
            near = np.bitwise_count(values[row + 1 :] ^ values[row]) <= distance
            if near.any():
                yield int(bucket[row]), bucket[row + 1 :][near]


def _buckets(hashes: Hashes, distance: int) -> list[Indices]:
    """Sets of indices such that every near pair is contained in one of them."""
    everything = np.arange(len(hashes), dtype=np.intp)
    edges = np.linspace(0, HASH_BITS, min(distance + 1, HASH_BITS) + 1).astype(int).tolist()
    buckets: list[Indices] = []
    for low, high in pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order])) + 1
        buckets += [bucket for bucket in np.split(order, starts) if len(bucket) > 1]
    comparisons = sum(len(bucket) ** 2 for bucket in buckets)
    return buckets if comparisons < len(hashes) ** 2 else [everything]
