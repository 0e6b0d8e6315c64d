"""Drawing into a folder, and the command that does it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sightline.cli.demo import command
from sightline.demo.plates.draw import draw_dataset, draw_image
from sightline.errors import DataError, SightlineError
from tests.golden import raises

SIZE = (160, 120)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_carry_prefix_and_index(tmp_path):
    written = draw_dataset(tmp_path / "new" / "set", images=2, seed=0, size=SIZE, start=7, prefix="plate_")
    assert written == [tmp_path / "new" / "set" / name for name in ("plate_0007.json", "plate_0008.json")]
    assert sorted(contents(tmp_path / "new" / "set")) == [
        "plate_0007.jpg",
        "plate_0007.json",
        "plate_0008.jpg",
        "plate_0008.json",
    ]


def test_annotations_are_what_labelme_writes(tmp_path):
    for index, file in enumerate(draw_dataset(tmp_path, images=6, seed=4, size=SIZE)):
        document = json.loads(file.read_text())
        assert list(document) == ["version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"]
        assert document["version"].count(".") == 2
        assert document["flags"] == {}
        assert document["imagePath"] == f"{index:04d}.jpg"
        assert document["imageData"] is None
        assert (document["imageWidth"], document["imageHeight"]) == SIZE
        _, shapes, _ = draw_image(4, index, size=SIZE)
        assert len(document["shapes"]) == len(shapes)
        for written, drawn in zip(document["shapes"], shapes, strict=True):
            assert written["label"] == drawn.label
            np.testing.assert_allclose(written["points"], drawn.points, atol=0.00501)
            assert all(isinstance(value, float) for point in written["points"] for value in point)
            rest = {key: value for key, value in written.items() if key not in ("label", "points")}
            assert rest == {"group_id": None, "description": "", "shape_type": "polygon", "flags": {}, "mask": None}


def test_images_are_the_drawn_ones_as_jpeg(tmp_path):
    draw_dataset(tmp_path, images=1, seed=3, size=SIZE)
    with Image.open(tmp_path / "0000.jpg") as image:
        assert image.format == "JPEG"
        assert image.size == SIZE
        read = np.asarray(image.convert("L"), dtype=float)
    for index, same in ((0, True), (1, False)):
        drawn, _, _ = draw_image(3, index, size=SIZE)
        difference = np.abs(read - np.asarray(drawn.convert("L"), dtype=float)).mean()
        assert (difference < 3) == same


def test_an_image_is_the_same_bytes_however_many_are_drawn(tmp_path):
    draw_dataset(tmp_path / "many", images=5, seed=1, difficulty="hard", size=SIZE)
    draw_dataset(tmp_path / "few", images=2, seed=1, difficulty="hard", size=SIZE, start=3)
    many, few = contents(tmp_path / "many"), contents(tmp_path / "few")
    assert len(few) == 4
    assert few == {name: many[name] for name in few}


def test_other_seeds_and_difficulties_give_other_images(tmp_path):
    for name, seed, difficulty in (("a", 1, "easy"), ("b", 2, "easy"), ("c", 1, "hard")):
        draw_dataset(tmp_path / name, images=3, seed=seed, difficulty=difficulty, size=SIZE)
    images = [data for name in "abc" for file, data in contents(tmp_path / name).items() if file.endswith(".jpg")]
    assert len(set(images)) == 9


def test_drawing_again_completes_an_interrupted_set(tmp_path):
    draw_dataset(tmp_path, images=3, seed=1, size=SIZE)
    whole = contents(tmp_path)
    (tmp_path / "0001.json").unlink()
    (tmp_path / "0002.jpg").rename(tmp_path / ".0002.jpg.partial")
    draw_dataset(tmp_path, images=3, seed=1, size=SIZE)
    assert contents(tmp_path) == whole
    draw_dataset(tmp_path, images=4, seed=1, size=SIZE)
    assert contents(tmp_path).items() > whole.items()


def test_more_images_are_drawn_into_the_same_folder(tmp_path):
    for start, images in ((0, 2), (2, 3), (9, 1)):
        draw_dataset(tmp_path, images=images, seed=1, size=(96, 96), start=start)
    draw_dataset(tmp_path / "at once", images=5, seed=1, size=(96, 96))
    drawn = {path.name: path.read_bytes() for path in tmp_path.glob("*.j*")}
    assert len(drawn) == 2 * 6
    assert {path.name: path.read_bytes() for path in (tmp_path / "at once").iterdir()}.items() <= drawn.items()


def test_a_folder_with_other_files_is_refused_untouched(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    (tmp_path / "zoo.jpg").write_bytes(b"mine too")
    with raises(DataError, "holiday.jpg"):
        draw_dataset(tmp_path, images=1, seed=1, size=SIZE)
    assert sorted(contents(tmp_path)) == ["holiday.jpg", "zoo.jpg"]


def test_a_file_with_other_contents_is_never_overwritten(tmp_path):
    draw_dataset(tmp_path, images=2, seed=1, size=SIZE)
    before = contents(tmp_path)
    with raises(DataError, "0000.jpg"):
        draw_dataset(tmp_path, images=2, seed=2, size=SIZE)
    assert contents(tmp_path) == before


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "plates").write_text("a file")
    for folder in (tmp_path / "plates", tmp_path / "plates" / "below"):
        with raises(DataError, folder):
            draw_dataset(folder, images=1, seed=1, size=SIZE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with raises(DataError, "0000.jpg"):
        draw_dataset(tmp_path, images=1, seed=1, size=SIZE)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / ".0000.jpg.partial").mkdir()
    with raises(DataError, "0000.jpg"):
        draw_dataset(tmp_path, images=1, seed=1, size=SIZE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 0}, "image"),
        ({"seed": -3}, "-3"),
        ({"start": -1}, "-1"),
        ({"prefix": "../up"}, "../up"),
        ({"prefix": "a\\b"}, "prefix"),
        ({"prefix": ".hidden"}, ".hidden"),
    ],
)
def test_options_out_of_range_leave_no_folder(tmp_path, options, message):
    with raises(DataError, message):
        draw_dataset(tmp_path / "set", **{"images": 1, "seed": 0, "size": SIZE, **options})
    assert not (tmp_path / "set").exists()


def test_the_command_draws_what_it_is_told(tmp_path):
    folder = tmp_path / "set"
    options = ["--images", "2", "--seed", "9", "--difficulty", "hard", "--size", "160x120", "--start", "3"]
    result = CliRunner().invoke(command, ["draw", str(folder), *options, "--prefix", "p"])
    assert result.exit_code == 0, result.output
    assert result.output == f"2 images and their annotations in {folder}\n"
    draw_dataset(tmp_path / "same", images=2, seed=9, difficulty="hard", size=SIZE, start=3, prefix="p")
    assert contents(folder) == contents(tmp_path / "same")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "0"], "0 is not in the range x>=1"),
        (["--images", "many"], "'many' is not a valid integer"),
        (["--difficulty", "brutal"], "'brutal' is not one of 'easy', 'medium', 'hard'"),
        (["--size", "384"], "expected width x height in pixels, such as 384x288"),
        (["--start", "-1"], "-1 is not in the range x>=0"),
    ],
)
def test_wrong_options_of_the_command_are_usage_errors(tmp_path, options, message):
    result = CliRunner().invoke(command, ["draw", str(tmp_path / "set"), *options])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "set").exists()


def test_the_command_hands_on_errors_meant_for_the_user(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result = CliRunner().invoke(command, ["draw", str(tmp_path)])
    assert isinstance(result.exception, SightlineError)
    assert "notes.txt" in str(result.exception)


def test_help_says_what_the_command_does():
    result = CliRunner().invoke(command, ["draw", "--help"])
    assert result.exit_code == 0
    for option in ("--images", "--seed", "--difficulty", "--size", "--start", "--prefix", "384x288", "easy"):
        assert option in result.output
