"""Random changes against closed forms, other libraries' code, and the colors of the drawn objects."""

import cmath
import colorsys
import io

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter
from torchvision.transforms.v2 import functional as torchvision

from sightline.config.augmentation import KINDS, Augmentation
from sightline.config.loading import Loading
from sightline.data.loading.augmentations.context import Context
from sightline.data.loading.augmentations.pipeline import Augmenter
from sightline.data.loading.dataset import CocoDataset
from sightline.data.loading.scene import Objects, Scene
from sightline.data.loading.transforms import PADDING_COLOUR
from sightline.data.rasterizer import covered_box, rasterize
from sightline.errors import ConfigurationError, StepError
from tests.golden import raises
from tests.squares import CLASSES, make_dataset, write_coco

COLORS = {1: (220, 30, 30), 2: (30, 30, 220)}
MOVING = (
    "flip", "scale_jitter", "large_scale_jitter", "crop", "random_resized_crop", "rotate", "perspective", "mosaic",
    "copy_paste", "cutmix",
)  # fmt: skip
WIDTH, HEIGHT = 64, 48


def settings(*entries):
    return TypeAdapter(Augmentation).validate_python(list(entries))


def change(name, **values):
    return settings({"name": name, "probability": 1.0, **values})


def photograph(seed=0):
    """A smooth random image."""
    small = np.random.default_rng(seed).integers(20, 235, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def box_outline(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def scene_of(image, *boxes, labels=None, keypoints=None):
    outlines = [box_outline(*map(float, box)) for box in boxes]
    labels = np.array(labels or [1] * len(boxes), dtype=np.int64)
    return Scene.of(image, Objects(labels, np.array(boxes, dtype=np.float64).reshape(-1, 4), outlines, keypoints))


def changed(scene, augmentation, seed=0, another=None):
    return Augmenter(augmentation, CLASSES)(scene, np.random.default_rng(seed), another or (lambda: scene))


def pixels(scene):
    return np.asarray(scene.image).astype(int)


@pytest.mark.parametrize("name", MOVING)
def test_objects_stay_where_their_pixels_are(tmp_path, name):
    """Inside an outline, a square is red and a disc is blue; the box is the extent of what is seen of it."""
    dataset = make_dataset(tmp_path, augmentation=change(name))
    right = total = 0
    for index in range(5):
        for position in range(6):
            sample = dataset.sample(index, position)
            height, width = sample.image.shape[:2]
            assert (height, width) == (HEIGHT, WIDTH)
            for box, label, outline in zip(sample.boxes_xyxy, sample.labels, sample.segmentations, strict=True):
                mask = rasterize(outline, height, width) > 0
                near = np.abs(sample.image.astype(int) - COLORS[int(label)]).max(axis=2) < 90
                right, total = right + int((near & mask).sum()), total + int(mask.sum())
                assert (box >= 0).all()
                assert (box <= (width, height) * 2).all()
                if isinstance(outline, dict):
                    x, y, across, down = covered_box(outline)
                    np.testing.assert_allclose(box, [x, y, x + across, y + down], atol=2)  # resampled twice
                else:
                    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in outline])
                    np.testing.assert_allclose(box, [*points.min(axis=0), *points.max(axis=0)], atol=1e-3)
    assert total > 1000
    assert right / total > 0.93


def test_a_mirrored_image_has_mirrored_classes_and_keypoints():
    keypoints = np.array([[[12.0, 10, 2], [28, 11, 1], [20, 30, 2]]] * 2)
    scene = scene_of(photograph(), (10, 8, 30, 40), (40, 5, 50, 20), labels=[1, 2], keypoints=keypoints)
    mirrored = changed(scene, change("flip", swap={"square": "disc"}, keypoint_pairs=[[0, 1]]))
    assert np.array_equal(pixels(mirrored), pixels(scene)[:, ::-1])
    assert mirrored.objects.labels.tolist() == [2, 1]
    assert mirrored.objects.boxes_xyxy.tolist() == [[WIDTH - 30, 8, WIDTH - 10, 40], [WIDTH - 50, 5, WIDTH - 40, 20]]
    assert mirrored.objects.keypoints[0].tolist() == [[36, 11, 1], [52, 10, 2], [44, 30, 2]]
    twice = changed(mirrored, change("flip", swap={"square": "disc"}, keypoint_pairs=[[0, 1]]))
    assert np.array_equal(pixels(twice), pixels(scene))
    assert np.array_equal(twice.objects.keypoints, keypoints)
    assert twice.objects.labels.tolist() == [1, 2]


@pytest.mark.parametrize(("name", "low", "high"), [("scale_jitter", 0.5, 0.9), ("large_scale_jitter", 1.0, 1.5)])
def test_scales_are_uniform_in_their_range(name, low, high):
    scene = scene_of(photograph(), (24, 18, 40, 30))
    sides, centers = [], []
    for seed in range(300):
        scaled = changed(scene, change(name, low=low, high=high), seed)
        ((left, top, right, bottom),) = scaled.objects.boxes_xyxy
        assert (right - left) / 16 == pytest.approx((bottom - top) / 12)
        sides.append((right - left) / 16)
        centers.append([left + right, top + bottom])
    assert low <= min(sides)
    assert max(sides) <= high
    assert np.mean(sides) == pytest.approx((low + high) / 2, abs=0.03)
    np.testing.assert_allclose(np.mean(centers, axis=0), [WIDTH, HEIGHT], atol=2)  # the place is random, too


def test_a_crop_enlarges_and_contains_every_object():
    scene = scene_of(photograph(), (20, 15, 30, 25), (35, 20, 40, 40))
    factors = []
    for seed in range(100):
        cropped = changed(scene, change("crop", smallest=0.3), seed)
        sides = cropped.objects.boxes_xyxy[:, 2:] - cropped.objects.boxes_xyxy[:, :2]
        ratio = sides / [[10, 10], [5, 20]]
        np.testing.assert_allclose(ratio, ratio[0, 0])  # both are complete
        factors.append(ratio[0, 0])
    assert min(factors) >= 1
    assert max(factors) <= 48 / 25 + 1e-9  # the objects together are 25 of 48 pixels tall
    assert np.std(1 / np.array(factors)) > 0.05


def test_a_crop_of_an_image_without_objects_is_any_part():
    empty = scene_of(photograph())
    assert not np.array_equal(pixels(changed(empty, change("crop"), 1)), pixels(empty))


def test_a_rotation_is_that_of_torchvision():
    scene = scene_of(photograph())
    rotated = changed(scene, change("rotate", degrees=30), seed=4)
    random = np.random.default_rng(4)
    random.uniform()  # whether to rotate at all
    angle = random.uniform(-30, 30)
    expected = torchvision.rotate(
        torchvision.pil_to_tensor(scene.image), -angle, torchvision.InterpolationMode.BILINEAR, fill=PADDING_COLOUR
    )
    difference = np.abs(pixels(rotated) - expected.permute(1, 2, 0).numpy())
    assert np.mean(difference) < 1.5


def turned(image, value):
    """Pixel by pixel, with the conversion of the standard library: the chromaticity is turned, the luminance kept."""

    def one(red, green, blue):
        luminance, across, along = colorsys.rgb_to_yiq(red, green, blue)
        color = complex(across, along) * cmath.exp(2j * cmath.pi * value)
        return colorsys.yiq_to_rgb(luminance, color.real, color.imag)

    pixels = [one(*color) for color in (image.permute(1, 2, 0).reshape(-1, 3) / 255).tolist()]
    return (255 * torch.tensor(pixels)).round().reshape(HEIGHT, WIDTH, 3).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("field", "adjust"),
    [
        ("brightness", lambda image, value: torchvision.adjust_brightness(image, 1 + value)),
        ("contrast", lambda image, value: torchvision.adjust_contrast(image, 1 + value)),
        ("saturation", lambda image, value: torchvision.adjust_saturation(image, 1 + value)),
        ("hue", turned),
    ],
)
def test_colors_change_as_in_other_libraries(field, adjust):
    limits = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0) | {field: 0.4}
    for seed in range(5):
        scene = scene_of(photograph())
        mine = changed(scene, change("photometric", **limits), seed)
        random = np.random.default_rng(seed)
        random.uniform()
        value = random.uniform(-1, 1, size=4)[list(limits).index(field)] * 0.4
        expected = adjust(torchvision.pil_to_tensor(scene.image), value).permute(1, 2, 0).numpy()
        assert np.abs(pixels(mine) - expected).mean() < 2.5
        assert np.abs(pixels(mine) - pixels(scene)).mean() > 1


def test_blur_is_a_gaussian():
    impulse = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    impulse[20:28, 28:36] = 255
    blurred = changed(scene_of(Image.fromarray(impulse)), change("blur", radius=4.0), seed=1)
    random = np.random.default_rng(1)
    random.uniform()
    radius = random.uniform(0, 4)
    kernel = 2 * int(4 * radius) + 1
    expected = torchvision.gaussian_blur(torch.from_numpy(impulse).permute(2, 0, 1).float(), [kernel] * 2, [radius])
    assert np.abs(pixels(blurred) - expected.permute(1, 2, 0).numpy()).mean() < 2


def test_noise_has_the_deviation_that_was_drawn():
    gray = Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128))
    noisy = changed(scene_of(gray), change("noise", deviation=20.0), seed=2)
    random = np.random.default_rng(2)
    random.uniform()
    assert (pixels(noisy) - 128).std() == pytest.approx(random.uniform(0, 20), rel=0.05)
    assert abs((pixels(noisy) - 128).mean()) < 0.5


def test_jpeg_artifacts_are_those_of_the_quality():
    scene = scene_of(photograph())
    coded = changed(scene, change("jpeg", low=10, high=10))
    buffer = io.BytesIO()
    scene.image.save(buffer, "JPEG", quality=10)
    assert np.array_equal(pixels(coded), np.asarray(Image.open(buffer)).astype(int))


def test_erasing_fills_the_area_and_leaves_out_what_it_hides():
    scene = scene_of(Image.new("RGB", (WIDTH, HEIGHT)), (5, 5, 15, 15), (30, 10, 60, 40))
    areas = []
    for seed in range(100):
        erased = changed(scene, change("erase", low=0.1, high=0.3), seed)
        filled = (pixels(erased) == PADDING_COLOUR).all(axis=2)
        areas.append(filled.mean())
        hidden = [
            filled[top:bottom, left:right].mean() for left, top, right, bottom in ((5, 5, 15, 15), (30, 10, 60, 40))
        ]
        kept = erased.objects.boxes_xyxy.tolist()
        for share, box in zip(hidden, scene.objects.boxes_xyxy.tolist(), strict=True):
            if abs(share - 0.7) > 0.1:  # the rectangle is rounded to pixels
                assert (box in kept) == (share < 0.7)
    assert min(areas) > 0.08
    assert max(areas) < 0.32
    assert np.mean(areas) == pytest.approx(0.2, abs=0.02)


def test_a_mosaic_consists_of_four_reduced_images():
    """Each part has the color of one image; its objects are as large as the reduction of the image makes them."""
    colors = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]
    scenes = [scene_of(Image.new("RGB", (WIDTH, HEIGHT), color), (0, 0, WIDTH, HEIGHT)) for color in colors]
    others = iter(scenes[1:])
    mosaic = changed(scenes[0], change("mosaic"), seed=3, another=lambda: next(others))
    shown = pixels(mosaic)
    assert len(mosaic.objects) == 4
    covered = np.zeros((HEIGHT, WIDTH), dtype=int)
    for left, top, right, bottom in mosaic.objects.boxes_xyxy.astype(int).tolist():
        part = shown[top:bottom, left:right].reshape(-1, 3)
        assert (part == part[0]).all()
        covered[top:bottom, left:right] += 1
    assert (covered == 1).all()
    assert {tuple(color) for color in shown.reshape(-1, 3).tolist()} == set(colors)
    center = mosaic.objects.boxes_xyxy[0, 2:]
    assert (center >= np.array([WIDTH, HEIGHT]) / 4 - 1).all()
    assert (center <= np.array([WIDTH, HEIGHT]) * 3 / 4 + 1).all()


def test_pasted_objects_cover_what_is_below_them():
    """Black square below, white one pasted: the masks share no pixel, and each is where its color is."""
    below = Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128))
    below.paste((0, 0, 0), (10, 10, 50, 40))
    above = Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90))
    above.paste((255, 255, 255), (20, 14, 44, 34))
    scene, other = scene_of(below, (10, 10, 50, 40)), scene_of(above, (20, 14, 44, 34), labels=[2])
    partly = 0
    for seed in range(30):
        pasted = changed(scene, change("copy_paste"), seed, another=lambda: other)
        masks = [rasterize(outline, HEIGHT, WIDTH) for outline in pasted.objects.outlines]
        assert sum(masks).max() <= 1
        by_label = dict(zip(pasted.objects.labels.tolist(), masks, strict=True))
        shown = pixels(pasted)[..., 0]
        assert np.array_equal(by_label.get(1, np.zeros_like(shown)) > 0, shown == 0)
        assert np.array_equal(by_label.get(2, np.zeros_like(shown)) > 0, shown == 255)
        partly += isinstance(pasted.objects.outlines[0], dict)
        assert (shown != 90).all()  # no background of the other image
    assert partly > 10


def test_an_object_that_is_almost_covered_is_left_out():
    small, large = scene_of(photograph(), (30, 22, 34, 26)), scene_of(photograph(1), (0, 0, WIDTH, HEIGHT), labels=[2])
    labels = {tuple(changed(small, change("copy_paste"), seed, lambda: large).objects.labels) for seed in range(40)}
    assert labels == {(2,), (1, 2)}


def test_each_change_happens_with_its_probability():
    scene = scene_of(photograph(), (5, 5, 20, 20))
    augmentation = settings({"name": "flip", "probability": 0.3})
    flipped = sum(changed(scene, augmentation, seed).objects.boxes_xyxy[0, 0] != 5 for seed in range(500))
    assert flipped / 500 == pytest.approx(0.3, abs=0.06)
    never = settings(*({"name": name, "probability": 0.0} for name in KINDS))
    assert changed(scene, never) is scene


def test_changes_happen_in_the_order_of_the_list():
    scene = scene_of(photograph(), (5, 5, 20, 20))
    scale, crop = {"name": "scale_jitter", "low": 0.5, "high": 0.5}, {"name": "crop", "smallest": 0.5}
    smaller_last = changed(scene, settings(crop, scale), 1).objects.boxes_xyxy
    crop_last = changed(scene, settings(scale, crop), 1).objects.boxes_xyxy
    assert np.ptp(smaller_last[:, ::2]) < np.ptp(crop_last[:, ::2])


@pytest.mark.parametrize("name", KINDS)
def test_specks_and_empty_images_do_not_stop_any_change(tmp_path, name):
    """Objects of one pixel, one object of a class, an image without objects, and an image of one row."""
    document = write_coco(tmp_path, 3)
    speck = {"bbox": [10.0, 10.0, 1.0, 1.0], "segmentation": box_outline(10.0, 10.0, 11.0, 11.0), "area": 1.0}
    document["annotations"] = [document["annotations"][0] | speck, document["annotations"][1]]
    Image.new("RGB", (80, 1)).save(tmp_path / "row.png")
    document["images"][2] |= {"file_name": "row.png", "height": 1}
    dataset = CocoDataset(
        document, tmp_path, image_size=64, max_pixels=10**6, augmentation=change(name), seed=0, loading=Loading()
    )
    for index in range(3):
        for position in range(8):
            sample = dataset.sample(index, position)
            assert len(sample.labels) == len(sample.boxes_xyxy) == len(sample.segmentations)
            assert (sample.boxes_xyxy[:, 2:] > sample.boxes_xyxy[:, :2]).all()


class Inverted:
    """An augmentation outside the package."""

    def __init__(self, above: int) -> None:
        self._above = above

    def __call__(self, scene: Scene, context: Context) -> Scene:
        if context.random.integers(100) < self._above:
            return scene
        return Scene.of(Image.fromarray(255 - np.asarray(scene.image)), scene.objects)


class Wrong:
    """Fails, or returns something else."""

    def __init__(self, fails: bool = False) -> None:
        self._fails = fails

    def __call__(self, scene: Scene, context: Context) -> object:
        return 1 / 0 if self._fails else scene.image


def test_a_class_of_the_users_own_is_an_augmentation():
    scene = scene_of(photograph())
    own = settings({"name": f"{__name__}:Inverted", "above": 0})
    assert np.array_equal(pixels(changed(scene, own)), 255 - pixels(scene))


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("no_such_module:Thing", {}, ConfigurationError),
        (f"{__name__}:Missing", {}, ConfigurationError),
        (f"{__name__}:Inverted", {"below": 3}, ConfigurationError),
        (f"{__name__}:Wrong", {}, StepError),
        (f"{__name__}:Wrong", {"fails": True}, StepError),
    ],
)
def test_an_own_class_that_does_not_work_is_named(name, arguments, error):
    with raises(error, name):
        changed(scene_of(photograph()), settings({"name": name, **arguments}))
