"""Applies the augmentations of a configuration in their order."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sightline.config.augmentation import Change, Own
from sightline.data.loading.augmentations import automatic, geometric, mixing, pixels
from sightline.data.loading.augmentations.context import Context, Step
from sightline.data.loading.scene import Scene
from sightline.errors import ConfigurationError, SightlineError, StepError

_STEPS: dict[str, Callable[..., Scene]] = {
    "flip": geometric.flip,
    "scale_jitter": geometric.scale,
    "large_scale_jitter": geometric.scale,
    "crop": geometric.crop,
    "random_resized_crop": geometric.random_resized_crop,
    "rotate": geometric.rotate,
    "perspective": geometric.perspective,
    "photometric": pixels.photometric,
    "blur": pixels.blur,
    "noise": pixels.noise,
    "jpeg": pixels.jpeg,
    "mosaic": mixing.mosaic,
    "copy_paste": mixing.copy_paste,
    "erase": pixels.erase,
    "trivial_augment": automatic.trivial_augment,
    "rand_augment": automatic.rand_augment,
    "mixup": mixing.mixup,
    "cutmix": mixing.cutmix,
}
"""Name -> a function of scene, context and settings."""


class Augmenter:
    """The augmentations of a configuration.

    Args:
        augmentation: Their settings.
        classes: Class names; labels are 1, 2, ... in this order.
        keypoint_pairs: Keypoints that become each other in a mirrored image, by index from 0.

    Raises:
        ConfigurationError: A class of the user's own cannot be used.
    """

    def __init__(
        self, augmentation: Sequence[Change], classes: Sequence[str], keypoint_pairs: Sequence[tuple[int, int]] = ()
    ) -> None:
        self._changes = [(change, _step(change)) for change in augmentation]
        self._labels = {name: label for label, name in enumerate(classes, start=1)}
        self._keypoint_pairs = tuple(keypoint_pairs)

    def __call__(self, scene: Scene, random: np.random.Generator, another: Callable[[], Scene]) -> Scene:
        """A randomly changed scene of the same size.

        Args:
            scene: An image of the training set at the size of the network's input.
            random: The only source of randomness.
            another: Returns a random other image of the training set.

        Raises:
            StepError: A class of the user's own failed.
        """
        context = Context(random, another, self._labels, self._keypoint_pairs)
        for change, step in self._changes:
            if random.uniform() < change.probability:
                scene = step(scene, context)
        return scene.settled()


def _step(change: Change) -> Step:
    if not isinstance(change, Own):
        return partial(_STEPS[change.name], settings=change)
    return partial(_guarded, name=change.name, step=_own_step(change))


def _own_step(change: Own) -> Step:
    module, _, name = change.name.partition(":")
    try:
        made: Step = getattr(importlib.import_module(module), name)(**change.arguments)
    except Exception as error:
        raise ConfigurationError(
            f"train.augmentation: {change.name} cannot be used with {change.arguments} "
            f"({type(error).__name__}: {error}); check that the module is importable, that it has this class, and that "
            "the class takes these arguments"
        ) from error
    return made


def _guarded(scene: Scene, context: Context, *, name: str, step: Step) -> Scene:
    try:
        changed = step(scene, context)
    except SightlineError:
        raise
    except Exception as error:
        raise StepError(
            f"the augmentation {name} failed ({type(error).__name__}: {error}); fix it, or remove it from "
            "train.augmentation"
        ) from error
    if not isinstance(changed, Scene) or (changed.width, changed.height) != (scene.width, scene.height):
        raise StepError(
            f"the augmentation {name} returned {type(changed).__name__}; expected a Scene of {scene.width} x "
            f"{scene.height} pixels, as it was given"
        )
    return changed if changed.image_labels is not None else replace(changed, image_labels=scene.image_labels)
