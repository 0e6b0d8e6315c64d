import numpy as np
import pytest
from PIL import Image

from sightline.config.augmentation import Augmentation
from sightline.data.loading.transforms import Placement, augment, fit_image
from sightline.data.rasterizer import encode_mask, rasterize
from tests.squares import make_dataset

SQUARE = [[10.0, 20.0, 30.0, 20.0, 30.0, 40.0, 10.0, 40.0]]


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((100, 50), (64, 32)),  # wide: made smaller
        ((50, 100), (32, 64)),  # tall
        ((32, 16), (64, 32)),  # made larger
        ((64, 40), (64, 40)),  # as it is
        ((1000, 3), (64, 1)),  # no side ever vanishes
    ],
)
def test_fit_makes_the_longer_side_the_input_size(size, fitted):
    image, placement = fit_image(Image.new("RGB", size), 64)
    assert image.size == fitted == (placement.width, placement.height)
    box = placement.boxes(np.array([[0, 0, *size]], dtype=np.float32))
    assert np.allclose(box, [[0, 0, *fitted]])


def test_polygons_keep_their_fractions():
    placement = Placement(0.5, 0.25, 1.5, 0.0, 40, 40)
    assert np.allclose(placement.segmentation([[1.0, 2.0, 3.3, 4.0, 5.0, 6.0]]), [[2.0, 0.5, 3.15, 1.0, 4.0, 1.5]])


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_image_boxes_polygons_and_masks_move_together(flip, scale):
    picture = np.zeros((60, 80, 3), dtype=np.uint8)
    picture[20:40, 10:30] = 255
    settings = Augmentation(flip=flip, scale=scale, brightness=0, contrast=0)
    image, placement = augment(Image.fromarray(picture), settings, np.random.default_rng(3))
    seen = np.asarray(image).min(axis=2) > 160
    polygon = rasterize(placement.segmentation(SQUARE), 60, 80) > 0
    mask = rasterize(placement.segmentation(encode_mask(picture[..., 0] // 255)), 60, 80) > 0
    for other in (polygon, mask):
        assert (seen & other).sum() / (seen | other).sum() > 0.85
    rows, columns = np.nonzero(seen)
    (box,) = placement.boxes(np.array([[10, 20, 30, 40]], dtype=np.float32))
    assert np.allclose(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=1.01)
    assert image.size == (80, 60)


def test_augmentation_is_a_function_of_its_generator():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    settings = Augmentation(flip=0.5, scale=0.5)
    first, second, third = (augment(image, settings, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first[1] == second[1] != third[1]
    assert first[0].tobytes() == second[0].tobytes()


def test_brightness_and_contrast_change_colours_alone():
    image = Image.new("RGB", (64, 64), (100, 100, 100))
    changed, placement = augment(image, Augmentation(flip=0, brightness=0.5, contrast=0.5), np.random.default_rng(1))
    assert placement == Placement(1.0, 1.0, 0, 0, 64, 64)
    (count, colour), *others = changed.getcolors()
    assert not others
    assert count == 64 * 64
    assert colour != (100, 100, 100)


def test_boxes_are_cut_at_the_border():
    placement = Placement(-1.0, 1.0, 40, 0, 40, 30)
    assert placement.boxes(np.array([[-5, 5, 45, 50]], dtype=np.float32)).tolist() == [[0, 5, 40, 30]]


@pytest.mark.parametrize("index", range(5))
def test_boxes_of_training_samples_are_the_extents_of_their_outlines(index, tmp_path):
    """Resized, zoomed out and mirrored, a box is still the extent of the outline, and the mask fills it."""
    dataset = make_dataset(tmp_path)
    for iteration in range(6):
        sample = dataset.sample(index, iteration)
        height, width = sample.image.shape[:2]
        assert len(sample.segmentations) == 2
        for box, segmentation in zip(sample.boxes_xyxy, sample.segmentations, strict=True):
            if isinstance(segmentation, list):
                points = np.array(segmentation[0]).reshape(-1, 2)
                np.testing.assert_allclose(box, [*points.min(axis=0), *points.max(axis=0)], atol=1e-3)
            rows, columns = np.nonzero(rasterize(segmentation, height, width))
            pixels = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(box, pixels, atol=1.0)
