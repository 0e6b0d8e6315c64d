"""The parts of a figure in the image: what is painted where, in which order, and which keypoints are hidden."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sightline.demo.canvas import Colour, Points, random_colour, random_grey, shade
from sightline.demo.figures.keypoints import NAMES
from sightline.demo.figures.pose import SIDES, Pose
from sightline.demo.geometry import capsule, circle, hull, inside

_SKIN: tuple[Colour, ...] = ((250, 220, 196), (236, 190, 150), (205, 150, 108), (150, 102, 70), (98, 64, 46))
_HAIR: tuple[Colour, ...] = ((28, 22, 20), (70, 44, 26), (128, 82, 40), (206, 168, 92), (150, 60, 34), (170, 168, 164))


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a figure, or of what stands in front of it.

    Attributes:
        outline: (N, 2), pixels or units of the figure's height.
        colour: Its color.
        keypoints: The keypoints that belong to it.
        flat: Whether it is painted without light and shadow.
    """

    outline: Points
    colour: Colour
    keypoints: tuple[str, ...] = ()
    flat: bool = False


@dataclass(frozen=True, slots=True)
class Clothes:
    """The look of a figure.

    Attributes:
        skin: Color of the skin.
        hair: Color of the hair.
        shirt: Color of torso and sleeves.
        trousers: Color of the legs.
        shoes: Color of the shoes.
        badge: Color of the front of the shirt, and of the backpack.
        long_sleeves: Whether the sleeves reach the wrists.
        long_trousers: Whether the trousers reach the ankles.
        long_hair: Whether the hair reaches the shoulders.
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    badge: Colour
    long_sleeves: bool
    long_trousers: bool
    long_hair: bool


def random_clothes(rng: np.random.Generator) -> Clothes:
    """Choose the look of a figure at random."""
    return Clothes(
        skin=_SKIN[int(rng.integers(len(_SKIN)))],
        hair=_HAIR[int(rng.integers(len(_HAIR)))],
        shirt=_vivid(rng),
        trousers=random_grey(rng, 25, 110, 30) if rng.random() < 0.5 else _vivid(rng),
        shoes=random_grey(rng, 15, 240),
        badge=_vivid(rng),
        long_sleeves=bool(rng.random() < 0.5),
        long_trousers=bool(rng.random() < 0.7),
        long_hair=bool(rng.random() < 0.4),
    )


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in the image, or in units of its height.

    Attributes:
        parts: Its parts, the farthest first.
        keypoints: (K, 2), in the order of ``NAMES``.
        facing: -1 if it faces the camera, 1 if it turns its back.
    """

    parts: tuple[Part, ...]
    keypoints: Points
    facing: float

    @property
    def box(self) -> NDArray[np.float64]:
        """Left, upper, right and lower edge, (4,)."""
        points = np.concatenate([part.outline for part in self.parts])
        return np.concatenate([points.min(axis=0), points.max(axis=0)])

    def placed(self, scale: float, origin: Points) -> Figure:
        """The figure in the image.

        Args:
            scale: Pixels per unit.
            origin: (2,), the pixel of the origin.
        """
        parts = tuple(replace(part, outline=origin + scale * part.outline) for part in self.parts)
        return Figure(parts, origin + scale * self.keypoints, self.facing)

    def hidden(self, in_front: list[Part]) -> NDArray[np.bool_]:
        """Which keypoints something covers: another part of the figure, or what is in front of it.

        Args:
            in_front: Parts that are painted after this figure.

        Returns:
            (K,).
        """
        last = {name: i for i, part in enumerate(self.parts) for name in part.keypoints}
        hidden = np.zeros(len(NAMES), dtype=np.bool_)
        for i, part in enumerate([*self.parts, *in_front]):
            covered = inside(self.keypoints, part.outline)
            hidden |= covered & np.array([i > last[name] for name in NAMES])
        hidden[NAMES.index("nose")] |= self.facing > 0
        return hidden


def figure(pose: Pose, clothes: Clothes) -> Figure:
    """The parts of a figure, in units of its height around the middle of the hips.

    Args:
        pose: Its joints in space.
        clothes: Its look.
    """
    at = {name: point[:2] for name, point in pose.joints.items()}

    def limb(start: str, start_radius: float, end: str, end_radius: float) -> Points:
        return capsule(at[start], start_radius, at[end], end_radius)

    torso = [circle(at[f"{side}_shoulder"], 0.05) for side in SIDES]
    torso += [circle(at[f"{side}_hip"], 0.062) for side in SIDES]
    torso_keypoints = tuple(f"{side}_{part}" for side in SIDES for part in ("shoulder", "hip"))
    pieces = [(0.0, [Part(hull(np.concatenate(torso)), clothes.shirt, torso_keypoints), *_front(pose, clothes, at)])]
    pieces.append((float(pose.joints["nose"][2]) * 0.02, _head(pose, clothes, at)))
    for side in SIDES:
        hip, knee, ankle, toe = (f"{side}_{name}" for name in ("hip", "knee", "ankle", "toe"))
        shin = clothes.trousers if clothes.long_trousers else clothes.skin
        leg = [
            Part(limb(ankle, 0.03, toe, 0.026), clothes.shoes, (ankle,)),
            Part(limb(knee, 0.044, ankle, 0.033), shin, (knee, ankle)),
            Part(limb(hip, 0.064, knee, 0.05), clothes.trousers, (hip, knee)),
        ]
        pieces.append((0.06 + 0.3 * float(pose.joints[knee][2]), leg))
        shoulder, elbow, wrist, hand = (f"{side}_{name}" for name in ("shoulder", "elbow", "wrist", "hand"))
        upper = Part(limb(shoulder, 0.047, elbow, 0.037), clothes.shirt, (shoulder, elbow))
        forearm = Part(
            limb(elbow, 0.035, wrist, 0.028), clothes.shirt if clothes.long_sleeves else clothes.skin, (elbow, wrist)
        )
        palm = Part(circle(at[hand], 0.034), clothes.skin, (wrist,))
        pieces.append((float(pose.joints[elbow][2]) - 0.05, [upper]))
        pieces.append((float(pose.joints[wrist][2]) - 0.06, [palm, forearm]))
    ordered = [part for _, parts in sorted(pieces, key=lambda piece: -piece[0]) for part in parts]
    return Figure(tuple(ordered), np.array([at[name] for name in NAMES]), pose.facing)


def _front(pose: Pose, clothes: Clothes, at: dict[str, Points]) -> list[Part]:
    """The front of the shirt with a zip, or a backpack: so that a figure from behind is told apart."""
    across = at["left_shoulder"] - at["right_shoulder"]
    down = (at["left_hip"] + at["right_hip"]) / 2 - at["neck"]
    if pose.facing > 0:
        corners = np.array([(-0.36, 0.1), (0.36, 0.1), (0.4, 0.8), (-0.4, 0.8)])
        pack = [at["neck"] + corner[0] * across + corner[1] * down for corner in corners]
        return [Part(hull(np.concatenate([circle(corner, 0.02) for corner in pack])), clothes.badge)]
    collar = np.array([(-0.2, 0.0), (0.2, 0.0), (0.035, 0.3), (0.035, 1.0), (-0.035, 1.0), (-0.035, 0.3)])
    return [Part(at["neck"] + collar[:, :1] * across + collar[:, 1:] * down, clothes.badge, flat=True)]


def _head(pose: Pose, clothes: Clothes, at: dict[str, Points]) -> list[Part]:
    """Neck, hair, and the face if it is seen."""
    head, nose = at["head"], at["nose"]
    size = np.array([0.068, 0.083])
    neck = capsule(at["neck"], 0.032, head, 0.032)
    parts = [Part(neck, clothes.skin)]
    if clothes.long_hair:
        tress = hull(np.concatenate([circle(head, 1.12 * size), circle((head + at["neck"]) / 2, 0.075)]))
        parts.insert(0, Part(tress, clothes.hair))
    parts.append(Part(circle(head, 1.1 * size), clothes.hair))
    if pose.facing > 0:
        return [*parts[:-1], Part(parts[-1].outline, clothes.hair, ("nose",))]
    middle = head + 0.35 * (nose - head) + (0.0, 0.012)
    parts.append(Part(circle(middle, size * (0.9, 0.92)), clothes.skin))
    across = np.array([0.027, 0.0])
    for side in (-1, 1):
        eye = nose + side * across - (0.0, 0.03)
        parts.append(Part(circle(eye, 0.0125), (250, 250, 250), flat=True))
        parts.append(Part(circle(eye + 0.1 * (nose - head), 0.008), (20, 20, 24), flat=True))
    mouth = nose + np.array([0.0, 0.032])
    parts.append(Part(circle(mouth, np.array([0.022, 0.007])), (150, 50, 50), flat=True))
    parts.append(Part(circle(nose, np.array([0.011, 0.014])), shade(clothes.skin, 0.78), ("nose",), flat=True))
    return parts


def _vivid(rng: np.random.Generator) -> Colour:
    """A color with more saturation than those of the backgrounds."""
    grey = random_colour(rng, 20, 235)
    red, green, blue = (int(value) for value in np.clip(128 + 1.7 * (np.array(grey) - 128), 10, 245))
    return red, green, blue
