"""Random changes for classification: against torchvision, closed forms, and the pixels that labels stand for."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as torchvision

from sightline.config.augmentation import MAGNITUDES, require_image_labels
from sightline.config.decode import decode
from sightline.data.loading.augmentations import geometric
from sightline.data.loading.augmentations.automatic import OPERATIONS
from sightline.data.loading.augmentations.context import Context
from sightline.data.loading.scene import Objects, Scene
from sightline.data.loading.transforms import PADDING_COLOUR
from sightline.data.rasterizer import rasterize
from sightline.errors import ConfigurationError
from tests.data.loading.test_augmentations import (
    HEIGHT,
    WIDTH,
    box_outline,
    change,
    changed,
    photograph,
    pixels,
    scene_of,
    settings,
)
from tests.golden import raises
from tests.squares import make_dataset

BILINEAR = torchvision.InterpolationMode.BILINEAR
NAMES = ("random_resized_crop", "trivial_augment", "rand_augment", "mixup", "cutmix")
THEIRS = {
    "identity": "Identity",
    **{name: "".join(part.title() for part in name.split("_")) for name in OPERATIONS if "_" in name},
    "rotate": "Rotate",
    **{name: name.title() for name in ("brightness", "color", "contrast", "sharpness", "posterize", "solarize")},
    "autocontrast": "AutoContrast",
    "equalize": "Equalize",
}
"""Our names of the operations -> torchvision's."""


def labelled(color, *labels, box=None):
    """An image of one color with image labels, and an object that fills it or a box."""
    box = box or (0, 0, WIDTH, HEIGHT)
    objects = Objects(np.array([1]), np.array([box], dtype=np.float64), [box_outline(*map(float, box))])
    return Scene.of(Image.new("RGB", (WIDTH, HEIGHT), color), objects, np.array(labels, np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_depends_on_seed_and_position_alone(tmp_path, name):
    dataset = make_dataset(tmp_path, augmentation=change(name))
    other = make_dataset(tmp_path, augmentation=change(name), seed=1)
    first = [dataset.sample(0, position).image for position in range(6)]
    again = [dataset.sample(0, position).image for position in reversed(range(6))][::-1]
    assert all(np.array_equal(one, same) for one, same in zip(first, again, strict=True))
    assert len({image.tobytes() for image in first}) > 3
    assert not all(np.array_equal(other.sample(0, position).image, first[position]) for position in range(6))


def parts(draws=1500, **values):
    """Parts that ``random_resized_crop`` chooses of a square image: left, top, width, height, relative to it."""
    (crop,) = change("random_resized_crop", **values)
    scene = scene_of(Image.new("RGB", (100, 100)))
    for seed in range(draws):
        context = Context(np.random.default_rng(seed), lambda: scene, {})
        inverse = np.linalg.inv(geometric.random_resized_crop(scene, context, crop).matrix)
        yield inverse[0, 2] / 100, inverse[1, 2] / 100, inverse[0, 0], inverse[1, 1]


def test_parts_are_distributed_as_those_of_torchvision():
    torch.manual_seed(0)
    theirs = np.array(
        [
            v2.RandomResizedCrop(1, scale=(0.1, 0.9), ratio=(0.5, 2)).make_params([torch.empty(3, 1000, 1000)])
            for _ in range(1500)
        ]
    )
    theirs = np.array([[one["left"], one["top"], one["width"], one["height"]] for one in theirs]) / 1000
    ours = np.array(list(parts(low=0.1, high=0.9, ratio=2.0)))
    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), atol=0.02)
    areas, ratios = ours[:, 2] * ours[:, 3], ours[:, 2] / ours[:, 3]
    assert 0.1 <= areas.min() < 0.12 < 0.88 < areas.max() <= 0.9
    assert 0.5 <= ratios.min() < 0.6 < 1.8 < ratios.max() <= 2
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= 1 + 1e-9).all()


def test_a_part_is_resized_to_the_image():
    scene = scene_of(photograph(), (10, 10, 30, 40))
    (crop,) = change("random_resized_crop", low=0.4, high=0.6)
    moved = geometric.random_resized_crop(scene, Context(np.random.default_rng(3), lambda: scene, {}), crop)
    (left, top), (right, bottom) = (
        (np.linalg.inv(moved.matrix) @ [*corner, 1])[:2] for corner in ((0, 0), (WIDTH, HEIGHT))
    )
    expected = scene.image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    assert np.abs(pixels(moved.settled()) - np.asarray(expected)).max() <= 1
    (x, y, right_x, bottom_y) = moved.settled().objects.boxes_xyxy[0]
    scale_x, scale_y = WIDTH / (right - left), HEIGHT / (bottom - top)
    assert x == pytest.approx(max(0, (10 - left) * scale_x))
    assert y == pytest.approx(max(0, (10 - top) * scale_y))
    assert right_x == pytest.approx(min(WIDTH, (30 - left) * scale_x))
    assert bottom_y == pytest.approx(min(HEIGHT, (40 - top) * scale_y))


@pytest.mark.parametrize(
    ("space", "table"),
    [("wide", v2.TrivialAugmentWide._AUGMENTATION_SPACE), ("usual", v2.RandAugment._AUGMENTATION_SPACE)],
)
def test_amounts_are_those_of_torchvision(space, table):
    assert set(THEIRS) == set(OPERATIONS)
    assert set(THEIRS.values()) == set(table)
    side = 224 if space == "wide" else 331
    for name, operation in OPERATIONS.items():
        magnitudes, signed = table[THEIRS[name]]
        theirs = magnitudes(MAGNITUDES + 1, side, side)
        assert operation.signed == signed
        if theirs is None:
            assert getattr(operation, space) == 0
            continue
        amounts = getattr(operation, space) * np.arange(MAGNITUDES + 1) / MAGNITUDES
        if name == "posterize":
            amounts = 8 - np.round(amounts)
        if name == "solarize":
            amounts = 1 - amounts
        if name.startswith("translate"):
            amounts = amounts * side
        np.testing.assert_allclose(amounts, theirs.numpy(), atol=1e-6 * side)


def affine(image, angle=0.0, translate=(0, 0), shear=(0.0, 0.0)):
    return torchvision.affine(
        image,
        angle,
        list(translate),
        1.0,
        [math.degrees(math.atan(value)) for value in shear],
        BILINEAR,
        PADDING_COLOUR,
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("name", "amount", "apply"),
    [  # torchvision shears to the other side
        ("identity", 0.0, lambda image, value: image),
        ("shear_x", 0.3, lambda image, value: affine(image, shear=(-value, 0))),
        ("shear_y", 0.3, lambda image, value: affine(image, shear=(0, -value))),
        ("translate_x", 0.25, lambda image, value: affine(image, translate=(value * WIDTH, 0))),
        ("translate_y", 0.25, lambda image, value: affine(image, translate=(0, value * HEIGHT))),
        ("rotate", 25.0, lambda image, value: affine(image, angle=value)),
        ("brightness", 0.6, lambda image, value: torchvision.adjust_brightness(image, 1 + value)),
        ("color", 0.6, lambda image, value: torchvision.adjust_saturation(image, 1 + value)),
        ("contrast", 0.6, lambda image, value: torchvision.adjust_contrast(image, 1 + value)),
        ("sharpness", 0.6, lambda image, value: torchvision.adjust_sharpness(image, 1 + value)),
        ("posterize", 4.0, lambda image, value: torchvision.posterize(image, 4)),
        ("solarize", 0.3, lambda image, value: torchvision.solarize(image, 255 * 0.7)),
        ("autocontrast", 0.0, lambda image, value: torchvision.autocontrast(image)),
        ("equalize", 0.0, lambda image, value: torchvision.equalize(image)),
    ],
)
def test_operations_are_those_of_torchvision(name, amount, apply, sign):
    scene, operation = scene_of(photograph()), OPERATIONS[name]
    value = amount * sign if operation.signed else amount
    found = pixels(operation.apply(scene, value).settled())
    expected = apply(torchvision.pil_to_tensor(scene.image), value).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(found - expected).mean() < 1.5
    assert (np.abs(found - pixels(scene)).mean() > 0.3) == (name != "identity")


@pytest.mark.parametrize("name", ["trivial_augment", "rand_augment"])
def test_objects_follow_the_operations(name):
    """The object is bright; its outline contains bright pixels alone, and all of them, whatever the colors become."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (20, 20, 20))
    image.paste((230, 230, 230), (24, 16, 44, 34))
    scene, moved = scene_of(image, (24, 16, 44, 34)), 0
    (augmentation,) = change(name)
    steps = {"trivial_augment": ["wide"], "rand_augment": ["usual"] * 2}[name]
    for seed in range(150):
        result = changed(scene, (augmentation,), seed)
        if not len(result.objects):
            continue
        mask = rasterize(result.objects.outlines[0], HEIGHT, WIDTH) > 0
        inside, outside = pixels(result)[mask], pixels(result)[~mask]
        if inside.size and outside.size and abs(np.median(inside) - np.median(outside)) > 40:
            inside_is_apart = np.abs(inside - np.median(inside)).max(axis=1) < 60
            assert inside_is_apart.mean() > 0.75
        moved += result.objects.boxes_xyxy.tolist() != scene.objects.boxes_xyxy.tolist()
    assert 150 * 0.25 * len(steps) < moved


def test_every_operation_occurs(monkeypatch):
    seen = set()
    for name, operation in OPERATIONS.items():
        recorded = dataclasses.replace(
            operation, apply=lambda scene, amount, name=name: seen.add((name, amount)) or scene
        )
        monkeypatch.setitem(OPERATIONS, name, recorded)
    scene = scene_of(photograph())
    for seed in range(300):
        changed(scene, change("rand_augment", operations=3, magnitude=15), seed)
    expected = {
        (name, sign * operation.usual * 15 / 30)
        for name, operation in OPERATIONS.items()
        for sign in ((1, -1) if operation.signed else (1,))
    }
    assert seen == expected
    seen.clear()
    for seed in range(3000):
        changed(scene, change("trivial_augment"), seed)
    assert {name for name, _ in seen} == set(OPERATIONS)
    assert len({amount for name, amount in seen if name == "rotate"}) > 50  # of 61


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_blended_labels_have_the_shares_of_the_pixels(alpha):
    black, white = labelled((0, 0, 0), 1, 0), labelled((255, 255, 255), 0, 1)
    shares = []
    for seed in range(400):
        blended = changed(black, change("mixup", alpha=alpha), seed, lambda: white)
        first, second = blended.image_labels.tolist()
        assert first + second == pytest.approx(1)
        assert second == pytest.approx(pixels(blended).mean() / 255, abs=1 / 255)
        shares.append(second)
    assert blended.image_labels.dtype == np.float32
    assert len(blended.objects) == 2
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.2)  # of the beta distribution


def test_replaced_rectangles_have_their_share_of_the_labels():
    black, white = labelled((0, 0, 0), 1, 0, 1), labelled((255, 255, 255), 0, 1, 1)
    shares = []
    for seed in range(300):
        mixed = changed(black, change("cutmix"), seed, lambda: white)
        is_white = pixels(mixed)[..., 0] == 255
        assert (is_white | (pixels(mixed)[..., 0] == 0)).all()
        np.testing.assert_allclose(mixed.image_labels, [1 - is_white.mean(), is_white.mean(), 1], atol=1e-6)
        masks = [rasterize(outline, HEIGHT, WIDTH) for outline in mixed.objects.outlines]
        if 0.15 < is_white.mean() < 0.85:
            below, above = masks
            assert np.array_equal(above > 0, is_white)
            assert np.array_equal(below > 0, ~is_white)
        shares.append(is_white.mean())
    assert min(shares) < 0.05
    assert max(shares) > 0.7
    assert np.std(shares) > 0.15


def test_mixing_again_keeps_the_shares():
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    scenes = [labelled(color, *np.eye(3)[place]) for place, color in enumerate(colors)]
    for seed in range(20):
        others = iter(scenes[1:])
        mixed = changed(scenes[0], (*change("cutmix"), *change("mixup")), seed, lambda others=others: next(others))
        np.testing.assert_allclose(mixed.image_labels, pixels(mixed).mean(axis=(0, 1)) / 255, atol=2 / 255)


def test_a_mosaic_has_the_labels_of_its_parts():
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)]
    scenes = [labelled(color, *np.eye(4)[place]) for place, color in enumerate(colors)]
    others = iter(scenes[1:])
    mosaic = changed(scenes[0], change("mosaic"), 2, lambda: next(others))
    expected = pixels(mosaic).mean(axis=(0, 1)) / 255
    np.testing.assert_allclose(mosaic.image_labels, [*expected, 1 - expected.sum()], atol=1e-6)


@pytest.mark.parametrize("name", ["random_resized_crop", "trivial_augment", "copy_paste", "rotate", "jpeg"])
def test_other_changes_keep_the_labels_of_the_image(name):
    scene = labelled((9, 9, 9), 1, 0, box=(5, 5, 20, 20))
    for seed in range(5):
        assert changed(scene, change(name), seed).image_labels.tolist() == [1, 0]


class Darker:
    """An augmentation outside the package that knows nothing of labels."""

    def __call__(self, scene: Scene, context: Context) -> Scene:
        return Scene.of(scene.image.point(lambda value: value // 2), scene.objects)


def test_a_class_of_the_users_own_keeps_the_labels_of_the_image():
    own = settings({"name": f"{__name__}:Darker"})
    assert changed(labelled((8, 8, 8), 1, 0), own).image_labels.tolist() == [1, 0]


def test_changes_that_mix_labels_survive_json():
    entries = settings({"name": "mixup", "alpha": 0.4}, {"name": "cutmix", "probability": 0.3})
    assert settings(*(entry.model_dump(mode="json") for entry in entries)) == entries


def test_images_without_labels_cannot_be_mixed():
    with raises(ConfigurationError, "cutmix"):
        decode("object_detection", ["data.classes=[cat]", "train.augmentation=[{name: flip}, {name: cutmix}]"])
    require_image_labels(change("mixup"), classified=True)
    with pytest.raises(ValueError, match="mixup"):
        require_image_labels(change("mixup"), classified=False)
