"""Face masks, worn correctly or not."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from sightline.demo.canvas import Colour, shade
from sightline.demo.faces.face import Brush, arc
from sightline.demo.faces.person import Person

Mask = Literal["none", "incorrect", "correct"]
MASKS: tuple[Mask, ...] = get_args(Mask)

_COLOURS: tuple[Colour, ...] = (
    (238, 240, 242), (146, 198, 226), (40, 42, 48), (196, 222, 200), (226, 178, 190), (94, 108, 150),
)  # fmt: skip


def paint_mask(rng: np.random.Generator, brush: Brush, person: Person, mask: Mask) -> None:
    """Paint a mask that covers nose and mouth, or one below the nose or the chin.

    Args:
        rng: Source of all random choices.
        brush: Where to paint.
        person: The person who wears it.
        mask: How it is worn; nothing is painted for ``none``.
    """
    if mask == "none":
        return
    colour = _COLOURS[int(rng.integers(len(_COLOURS)))]
    below_chin = rng.random() < 0.4
    if mask == "correct":
        top, bottom = rng.uniform(0.06, 0.12), 1.0
    elif below_chin:
        top, bottom = rng.uniform(0.74, 0.8), 1.2
    else:
        top, bottom = rng.uniform(0.4, 0.46), 1.02
    rise = 0.05 if mask == "correct" else 0.0
    edge_top, edge_bottom = _half_width(person, top + 0.1), _half_width(person, min(0.86, bottom - 0.12))
    upper = arc((-edge_top, top + 0.1), (edge_top, top + 0.1), -0.1 - rise)
    lower = arc((edge_bottom, bottom - 0.16), (-edge_bottom, bottom - 0.16), 0.17)
    for side in (-1, 1):
        band = [(side * edge_top * 0.98, top + 0.14), (side * person.width * 1.0, -0.06)]
        brush.stroke(band, 0.03, (228, 228, 228), depth=0.2)
        brush.stroke(
            [(side * edge_bottom, bottom - 0.2), (side * person.width * 1.02, 0.14)], 0.03, (228, 228, 228), depth=0.2
        )
    brush.area(np.concatenate([upper, lower]), colour, depth=0.35)
    for share in (0.3, 0.5, 0.7):
        y = top + share * (bottom - top)
        wide = 0.86 * _half_width(person, min(y, 0.84))
        brush.stroke(arc((-wide, y), (wide, y), 0.04), 0.018, shade(colour, 0.8), depth=0.35)
    brush.stroke(upper, 0.03, shade(colour, 0.72), depth=0.35)


def _half_width(person: Person, y: float) -> float:
    """Half the width of the face at a height, a little less than the head's outline."""
    return person.width * float(np.sqrt(max(0.0, 1 - y * y))) * 0.97
