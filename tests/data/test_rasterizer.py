"""Areas that are computed without drawing, against pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from sightline.data.rasterizer import rectangle_area

WIDTH, HEIGHT = 37, 23


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 1000], ids=["whole", "half", "fifths", "tenths", "fine"])
def test_the_area_of_a_rectangle_is_that_of_its_polygon(steps: int) -> None:
    random = np.random.default_rng(steps)
    for _ in range(500):
        left, right = sorted((random.integers(0, WIDTH * steps + 1, 2) / steps).tolist())
        top, bottom = sorted((random.integers(0, HEIGHT * steps + 1, 2) / steps).tolist())
        outline = [left, top, right, top, right, bottom, left, bottom]
        drawn = coco_mask.area(coco_mask.frPyObjects([outline], HEIGHT, WIDTH))[0]
        assert rectangle_area(left, top, right, bottom) == drawn, (left, top, right, bottom)
