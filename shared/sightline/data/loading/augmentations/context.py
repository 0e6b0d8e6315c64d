"""What a random change may use besides the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sightline.data.loading.scene import Scene


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of one sample.

    Attributes:
        random: The only source of randomness, so that a sample is a pure function of its seed.
        another: Returns a random image of the training set, at the size of the network's input.
        labels: Class name -> label, from 1.
        keypoint_pairs: Keypoints that become each other in a mirrored image, by index from 0.
    """

    random: np.random.Generator
    another: Callable[[], Scene]
    labels: Mapping[str, int]
    keypoint_pairs: tuple[tuple[int, int], ...] = ()


Step = Callable[[Scene, Context], Scene]
"""A change with its settings: returns the changed scene and leaves the given one as it is."""
