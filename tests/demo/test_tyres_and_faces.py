"""Tyres in class folders, faces with a CSV file: the labels, their balance, and the files."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sightline.cli.demo import command
from sightline.demo.faces import draw as faces
from sightline.demo.figures import draw as figures
from sightline.demo.tyres import draw as tyres
from sightline.errors import DataError
from tests.golden import raises

SIZE = (96, 96)
GENERATORS = {"figures": figures, "tyres": tyres, "faces": faces}


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def rows(folder):
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", GENERATORS)
def test_an_image_is_the_same_bytes_however_many_are_drawn(tmp_path, kind):
    draw = GENERATORS[kind].draw_dataset
    draw(tmp_path / "many", images=9, seed=3, size=SIZE)
    draw(tmp_path / "few", images=2, seed=3, size=SIZE, start=5)
    many, few = contents(tmp_path / "many"), contents(tmp_path / "few")
    few.pop("labels.csv", None)
    assert few
    assert few.items() <= many.items()
    draw(tmp_path / "few", images=9, seed=3, size=SIZE)
    assert contents(tmp_path / "few") == many


@pytest.mark.parametrize("kind", GENERATORS)
def test_another_seed_draws_other_images(tmp_path, kind):
    for seed in (1, 2):
        GENERATORS[kind].draw_dataset(tmp_path / str(seed), images=4, seed=seed, size=SIZE)
    images = [data for name, data in contents(tmp_path).items() if name.endswith(".jpg")]
    assert len(set(images)) == 8


@pytest.mark.parametrize(("kind", "size"), [("figures", (384, 288)), ("tyres", (256, 256)), ("faces", (176, 176))])
def test_the_command_draws_each_kind(tmp_path, kind, size):
    options = ["--kind", kind, "--images", "6", "--seed", "4"]
    result = CliRunner().invoke(command, ["draw", str(tmp_path / "set"), *options])
    assert result.exit_code == 0, result.output
    GENERATORS[kind].draw_dataset(tmp_path / "same", images=6, seed=4)
    assert contents(tmp_path / "set") == contents(tmp_path / "same")
    for path in (tmp_path / "set").rglob("*.jpg"):
        with Image.open(path) as image:
            assert image.size == size


def test_a_difficulty_is_only_for_plates(tmp_path):
    result = CliRunner().invoke(command, ["draw", str(tmp_path / "set"), "--kind", "faces", "--difficulty", "hard"])
    assert result.exit_code == 2
    assert "plates" in result.output
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("kind", "file"), [("tyres", "good/mine.jpg"), ("tyres", "mine.txt"), ("faces", "images/me.jpg")]
)
def test_a_folder_with_other_files_is_refused_untouched(tmp_path, kind, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"mine")
    with raises(DataError, file):
        GENERATORS[kind].draw_dataset(tmp_path, images=1, seed=1, size=SIZE)
    assert contents(tmp_path) == {file: b"mine"}


def test_tyres_are_balanced_and_in_the_folder_of_their_class(tmp_path):
    written = tyres.draw_dataset(tmp_path, images=12, seed=7, size=SIZE)
    assert Counter(path.parent.name for path in written) == dict.fromkeys(tyres.CLASSES, 3)
    assert all(path.exists() for path in written)
    for index, path in enumerate(written):
        assert path.stem == f"{index:04d}"
        assert tyres.draw_image(7, index, SIZE)[1] == path.parent.name


def test_the_classes_of_tyres_are_not_told_apart_by_brightness():
    means = defaultdict(list)
    for index in range(80):
        image, condition = tyres.draw_image(1, index, SIZE)
        means[condition].append(np.asarray(image).mean())
    spread = np.mean([np.std(values) for values in means.values()])
    assert np.ptp([np.mean(values) for values in means.values()]) < 1.5 * spread


def test_rows_are_the_images_with_their_labels(tmp_path):
    written = faces.draw_dataset(tmp_path, images=14, seed=2, size=SIZE, prefix="f")
    assert [row["path"] for row in rows(tmp_path)] == [path.relative_to(tmp_path).as_posix() for path in written]
    for index, row in enumerate(rows(tmp_path)):
        assert {"path": f"images/f{index:04d}.jpg"} | faces.draw_image(2, index, SIZE)[1]._asdict() == row


def test_persons_have_several_images_and_every_label_is_equally_frequent():
    labels = [faces.draw_image(9, index, SIZE)[1] for index in range(72)]
    persons = defaultdict(list)
    for one in labels:
        persons[one.person].append(one)
    assert len(persons) == 12
    for images in persons.values():
        assert len({(one.gender, one.age) for one in images}) == 1
        assert Counter(one.mask for one in images) == {"none": 2, "incorrect": 2, "correct": 2}
    assert set(Counter((one.gender, one.age) for one in labels).values()) == {12}


def test_persons_of_other_seeds_have_other_names():
    assert faces.draw_image(1, 0, SIZE)[1].person != faces.draw_image(2, 0, SIZE)[1].person


def test_images_are_added_to_the_labels_of_a_folder(tmp_path):
    faces.draw_dataset(tmp_path, images=3, seed=2, size=SIZE)
    faces.draw_dataset(tmp_path, images=2, seed=2, size=SIZE, start=8)
    assert [row["path"][7:11] for row in rows(tmp_path)] == ["0000", "0001", "0002", "0008", "0009"]


def test_a_labels_file_of_something_else_is_named(tmp_path):
    (tmp_path / "labels.csv").write_text("image,label\na.jpg,1\n")
    with raises(DataError, "labels.csv"):
        faces.draw_dataset(tmp_path, images=1, seed=2, size=SIZE)
    assert contents(tmp_path) == {"labels.csv": b"image,label\na.jpg,1\n"}
