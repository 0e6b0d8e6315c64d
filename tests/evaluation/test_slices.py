"""Slices: which images are in them, and the values of metrics on them."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import stats
from sklearn.metrics import accuracy_score

from sightline.evaluation.image_attributes import read_attributes
from sightline.evaluation.image_qualities import image_qualities
from sightline.evaluation.slices import image_slices, slice_scores, slices_section
from sightline.metrics.statistic import AveragePrecision, ClassMatches, Ratio


def picture(seed, size=(96, 72), level=120):
    noise = np.random.default_rng(seed).normal(0, 40, (size[1], size[0], 3))
    return Image.fromarray((noise + level).clip(0, 255).astype(np.uint8))


def listed(number, size=(96, 72), **more):
    entry = {"id": number, "file_name": f"annotations/parts/{number:03d}.png", "width": size[0], "height": size[1]}
    return entry | {"sha256": f"{number:064x}", "group": "", **more}


def thing(number, image, side, category=1):
    return {
        "id": number, "image_id": image, "category_id": category, "bbox": [0, 0, side, side], "area": side * side,
        "segmentation": [[0, 0, side, 0, side, side]], "iscrowd": 0,
    }  # fmt: skip


@pytest.fixture
def split(tmp_path):
    """Twelve images: 1 dark, 2 bright, 3 blurred, 4 tall, 5 wide; 6 to 9 differ in objects; 10 has a flag, and
    so has the object of 8."""
    pictures = {number: picture(number) for number in range(1, 13)}
    pictures[1] = picture(1, level=30)
    pictures[2] = picture(2, level=235)
    pictures[3] = pictures[3].filter(ImageFilter.GaussianBlur(4))
    pictures[4], pictures[5] = picture(4, (64, 96)), picture(5, (144, 96))
    images = []
    for number, image in pictures.items():
        path = tmp_path / f"annotations/parts/{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        images.append(listed(number, image.size, **({"flags": ["night"]} if number == 10 else {})))
    objects = [
        thing(1, 6, 10, 2),
        *(thing(2 + index, 7, 40) for index in range(3)),
        thing(5, 8, 100) | {"flags": ["night"]},
    ]
    objects += [thing(6 + index, 9, 12) for index in range(7)]
    categories = [{"id": 1, "name": "bolt"}, {"id": 2, "name": "crack"}, {"id": 3, "name": "unseen"}]
    return {"images": images, "annotations": objects, "categories": categories}


def members(found):
    return {name: (np.flatnonzero(inside) + 1).tolist() for name, inside in found.items()}


def test_images_are_sliced_by_what_they_show(split, tmp_path):
    found = members(image_slices(split, tmp_path, max_pixels=10**6))
    assert found == {
        "objects: none": [1, 2, 3, 4, 5, 10, 11, 12],
        "objects: 1": [6, 8],
        "objects: 2 to 5": [7],
        "objects: 6 or more": [9],
        "size: small": [6, 9],
        "size: medium": [7],
        "size: large": [8],
        "class: bolt": [7, 8, 9],
        "class: crack": [6],
        "flag: night": [10],
        "object flag: night": [8],
        "brightness: dark": [1],
        "brightness: bright": [2],
        "blur: blurred": [3],
        "aspect: tall": [4],
        "aspect: wide": [5],
    }


def test_only_large_groups_are_slices(split, tmp_path):
    for number, image in enumerate(split["images"]):
        image["group"] = "cam-3" if number < 10 else "cam-4"
    found = members(image_slices(split, tmp_path, max_pixels=10**6))
    assert {name: rows for name, rows in found.items() if name.startswith("group")} == {"group: cam-3": [*range(1, 11)]}


def test_classes_of_whole_images_are_slices(split, tmp_path):
    split |= {"annotations": [], "label_sets": [{"name": "state", "category_ids": [1, 2, 3], "multiple": True}]}
    for number, image in enumerate(split["images"], 1):
        image["labels"] = [1] if number % 2 else [1, 2]
    found = members(image_slices(split, tmp_path, max_pixels=10**6))
    assert found["class: crack"] == [2, 4, 6, 8, 10, 12]
    assert not {"class: bolt", "class: unseen", "objects: none"} & found.keys()  # all images, or none


def test_qualities_are_kept_and_an_image_that_is_gone_has_none(split, tmp_path):
    kept = tmp_path / "kept.json"
    first = image_qualities(split["images"], tmp_path, 10**6, kept)
    assert not np.isnan(first.brightness).any()
    for image in split["images"][:11]:
        (tmp_path / image["file_name"]).unlink()
    again = image_qualities(split["images"], tmp_path, 10**6, kept)
    np.testing.assert_array_equal(again.sharpness, first.sharpness)
    kept.write_text("{")
    lost = image_qualities(split["images"], tmp_path, 10**6, kept)
    assert np.isnan(lost.brightness).tolist() == [True] * 11 + [False]
    split |= {"images": split["images"][:3], "annotations": []}
    assert "brightness: dark" not in image_slices(split, tmp_path, max_pixels=10**6)


def test_sharpness_does_not_depend_on_the_size_of_the_file():
    from sightline.evaluation.image_qualities import quality

    small = picture(0, (256, 192)).filter(ImageFilter.GaussianBlur(2))
    large = small.resize((1024, 768), Image.Resampling.NEAREST)
    assert quality(large) == pytest.approx(quality(small), rel=0.02)


CSV = """image,weather,temperature,flag
001.png,rain,1.5,night
annotations/parts/002.png,rain,2,day
003.png,sun,3,day
003.png,snow,4,day
nowhere.png,sun,9,day
004.png,,14,day
"""


def attributes(text, split, root, name="attributes.csv"):
    (root / name).write_text(text, encoding="utf-8")
    return read_attributes(name, split["images"], root, root / "fetched")


def test_columns_of_a_csv_file_are_slices(split, tmp_path):
    read = attributes(CSV, split, tmp_path)
    found = members(image_slices(split, tmp_path, max_pixels=10**6, attributes=read))
    assert found["weather: rain"] == [1, 2]
    assert found["weather: sun"] == [3]  # the first row of an image counts
    assert found["temperature: 14"] == [4]
    assert found["flag: night"] == [10]
    assert found["flag (attribute): night"] == [1]
    assert "weather: snow" not in found
    assert [note.split()[:2] for note in read.notes] == [
        ["attributes.csv", "has"], ["1", "row"], ["1", "row"],
    ]  # fmt: skip
    assert "8 of 12 images" in read.notes[0]


def test_a_column_with_many_numbers_is_divided_into_ranges(split, tmp_path):
    rows = "".join(f"{number:03d}.png,{number * 1.5 + 0.1 * (number > 1)},{number % 2}\n" for number in range(1, 13))
    more = [listed(number) for number in range(13, 21)]
    rows += "".join(f"{number:03d}.png,{number * 1.5},{number % 2}\n" for number in range(13, 21))
    split["images"] += more
    found = image_slices(
        split, tmp_path, max_pixels=10**6, attributes=attributes("image,size,odd\n" + rows, split, tmp_path)
    )
    parts = {name: inside for name, inside in found.items() if name.startswith("size: up") or "above" in name}
    assert [int(inside.sum()) for inside in parts.values()] == [5, 5, 5, 5]
    assert (np.sum([*parts.values()], axis=0) == 1).all()
    assert {"odd: 0", "odd: 1"} <= found.keys()


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", None),
        ("image\n001.png\n", None),
        ("image,a\n001.png,x\n002.png,y,z\n", "a"),
        ("image,a,a\n001.png,1,2\n", None),
    ],
)
def test_a_broken_table_of_attributes_is_stated_and_costs_nothing_else(split, tmp_path, text, column):
    read = attributes(text, split, tmp_path)
    assert list(read.columns) == ([column] if column else [])
    assert read.notes
    assert "attributes.csv" in read.notes[0]
    assert "brightness: dark" in image_slices(split, tmp_path, max_pixels=10**6, attributes=read)


def test_attributes_that_do_not_exist_are_stated(split, tmp_path):
    folder = "x" * 300
    for address in ("gone.csv", f"file://{tmp_path}/gone.csv", "ftp://host/a.csv", "~nobody/a.csv", "a\0.csv", folder):
        read = read_attributes(address, split["images"], tmp_path, tmp_path / "fetched")
        assert not read.columns
        assert any(address in note for note in read.notes)
    assert read_attributes("", split["images"], tmp_path, tmp_path / "fetched").notes == ()


def test_attributes_come_from_a_bucket(split, tmp_path):
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "a.csv").write_text(CSV)
    read = read_attributes(f"file://{tmp_path}/bucket/a.csv", split["images"], tmp_path, tmp_path / "fetched")
    assert read.columns["weather"][:3] == ["rain", "rain", "sun"]


def test_values_of_slices_are_those_of_their_images_alone():
    noise = np.random.default_rng(1)
    right, inside = noise.random(300) < 0.7, noise.random(300) < 0.3
    scores = slice_scores(Ratio(right * 1.0, np.ones(300)), {"some": inside}, [""] * 300)
    [score] = scores.scores
    number, share = inside.sum(), right[inside].mean()
    assert score.value == pytest.approx(accuracy_score(np.ones(number), right[inside]))
    assert scores.overall == pytest.approx(right.mean())
    half = stats.t.ppf(0.975, number - 1) * np.sqrt(share * (1 - share) / number)
    assert (score.low, score.high) == pytest.approx((share - half, share + half), abs=0.025)


def test_an_average_precision_on_a_slice_is_that_of_a_split_with_its_images_alone():
    noise = np.random.default_rng(2)
    images, detections = 60, 180
    classes = [
        ClassMatches(
            noise.integers(0, images, detections),
            np.sort(noise.random((10, detections)), axis=0) > 0.5,
            noise.random((10, detections)) < 0.05,
            noise.integers(0, 6, images).astype(np.float64),
        )
        for _ in range(3)
    ]
    statistic, inside = AveragePrecision(classes), noise.random(images) < 0.5

    class Opaque:
        def values(self, weights):
            return statistic.values(weights)

    [score] = slice_scores(statistic, {"half": inside}, [""] * images).scores
    assert score.value == pytest.approx(statistic.values(inside[None] * 1.0)[0], abs=1e-12)
    [other] = slice_scores(Opaque(), {"half": inside}, [""] * images).scores
    assert (score.low, score.high) == pytest.approx((other.low, other.high), abs=1e-5)  # float32


def test_a_planted_weak_slice_is_the_worst_and_named_and_others_are_not():
    noise = np.random.default_rng(3)
    images = 600
    night = np.arange(images) < 60
    right = noise.random(images) < np.where(night, 0.5, 0.9)
    slices = {f"group: {number}": np.arange(images) % 6 == number for number in range(6)}
    slices |= {"flag: night": night, "flag: day": ~night, "flag: rare": np.arange(images) < 9}
    scores = slice_scores(Ratio(right * 1.0, np.ones(images)), slices, [""] * images)
    assert scores.scores[0].name == "flag: night"
    assert [one.name for one in scores.scores if one.weak] == ["flag: night"]
    assert scores.too_few == {"flag: rare": 9}
    section = slices_section("accuracy", scores)
    assert "flag: night" in section.verdict
    assert [row.name for row in section.rows if row.tone == "bad"] == ["flag: night"]
    assert section.reference == pytest.approx(right.mean())
    assert any("flag: rare (9)" in note for note in section.notes)


def test_few_groups_say_less_than_as_many_images():
    """Forty images of night are bad, but they are ten copies of four images."""
    night = np.arange(400) < 40
    right = np.where(night, np.arange(400) % 4 > 1, np.arange(400) % 10 > 0) * 1.0
    groups = [str(number % 4) if number < 40 else "" for number in range(400)]
    statistic, slices = Ratio(right, np.ones(400)), {"flag: night": night}
    assert [one.weak for one in slice_scores(statistic, slices, [""] * 400).scores] == [True]
    assert [one.weak for one in slice_scores(statistic, slices, groups).scores] == [False]


def test_two_groups_that_happen_to_be_equal_do_not_make_a_slice_weak():
    right = np.ones(100)
    right[[0, 6]] = 0  # one mistake in each of two groups of six images
    groups = [str(number // 6) if number < 12 else "" for number in range(100)]
    [score] = slice_scores(Ratio(right, np.ones(100)), {"age": np.arange(100) < 12}, groups).scores
    assert score.value == pytest.approx(10 / 12)
    assert not score.weak
    assert score.low < score.value < score.high


def test_a_slice_that_is_one_group_can_be_weak():
    right = np.where(np.arange(200) < 40, np.arange(200) % 2, 1) * 1.0
    groups = ["cam-3" if number < 40 else "" for number in range(200)]
    scores = slice_scores(Ratio(right, np.ones(200)), {"group: cam-3": np.arange(200) < 40}, groups)
    assert [(one.name, one.weak) for one in scores.scores] == [("group: cam-3", True)]


def test_of_an_error_the_highest_is_the_worst():
    errors = Ratio(np.where(np.arange(100) < 20, 9.0, 1.0) + np.arange(100) % 3 / 10, np.ones(100))
    slices = {"far": np.arange(100) < 20, "near": np.arange(100) >= 20}
    scores = slice_scores(errors, slices, [""] * 100, higher_is_better=False)
    assert [(one.name, one.weak) for one in scores.scores] == [("far", True), ("near", False)]


def test_a_slice_without_truth_has_no_value():
    half = np.arange(40) < 20
    scores = slice_scores(Ratio(half * 1.0, half * 1.0), {"with": half, "without": ~half}, [""] * 40)
    assert [one.name for one in scores.scores] == ["with"]
    assert scores.without_truth == ["without"]
    nothing = slice_scores(Ratio(np.zeros(0), np.zeros(0)), {}, [])
    assert np.isnan(nothing.overall)
    assert slices_section("accuracy", nothing).rows == []
