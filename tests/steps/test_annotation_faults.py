"""What record says of labels that mean no class: one line a label, and settings that work when pasted."""

import shlex
from pathlib import Path

import pytest

from sightline.config.decode import decode
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.formats.reading import stopping_faults
from sightline.data.recording.faults import SHOWN_LINES, fault_lines, fault_message, label_settings
from tests.labelled_folder import names, write_images, write_labels


def faults_of(folder, *overrides):
    data = decode("instance_segmentation", ["data.jobs=1", *overrides]).data
    annotations = read_folder(folder, data)
    return stopping_faults(annotations, data.faults), annotations, data


def overrides_of(settings):
    return shlex.split(" ".join(settings))[1::2]


@pytest.fixture
def photos(tmp_path):
    photos = write_images(tmp_path / "photos", names(4))
    for name in names(3):
        write_labels(photos, name, ["cat", "dog", "dog"])
    write_labels(photos, "003", ["cat"])
    return photos


def test_a_misspelt_class_is_one_line_and_the_right_list_comes_first(photos):
    faults, annotations, data = faults_of(photos, "data.classes=[cat, dgo]")
    text = fault_message("pets_ann_v1", faults, annotations, data, Path("all.txt"))
    first, *lines = text.splitlines()
    assert lines == ["  'dog': 6 shapes in 3 files; the label is not in data.classes (did you mean 'dgo'?)"]
    assert first.startswith("pets_ann_v1 has 6 faults; to use these labels, add --set 'data.classes=[cat, dog]'; or ")
    assert "all.txt" in first


@pytest.mark.parametrize(("labels", "given", "wanted"), [
    (["cat", "dog"], ["data.classes=[dgo, cat, bird]"], ["data.classes=[cat, bird, dog]"]),
    (["Cat", "cat"], ["data.classes=[cat]"], ["data.aliases={Cat: cat}"]),
    (["cat ", "cat"], ["data.classes=[cat]"], ["data.aliases={'cat ': cat}"]),
    (["Cat", "a.b", "x"], ["data.classes=[cat]"], ["data.classes=[cat, a.b, x]", "data.aliases={Cat: cat}"]),
    (["A.B", "pony"], ["data.classes=[a.b, cat]", "data.aliases={pony: cat}"],
     ["data.aliases={pony: cat, A\\.B: a.b}"]),
    (["it's", "1", "yes"], ["data.classes=[cat]"], ["data.classes=[cat, '1', it's, 'yes']"]),
])  # fmt: skip
def test_the_settings_take_every_label(labels, given, wanted, tmp_path):
    photos = write_images(tmp_path / "photos", ["a"])
    write_labels(photos, "a", labels)
    faults, annotations, data = faults_of(photos, *given)
    settings = overrides_of(label_settings(faults, annotations, data))
    assert settings == wanted
    assert faults_of(photos, *given, *settings)[0] == []


def test_other_faults_are_listed_after_the_labels_and_not_all_of_many(photos):
    (photos / "000.jpg").write_bytes(b"no image")
    faults, annotations, data = faults_of(photos, "data.classes=[cat]")
    assert [line[:8] for line in fault_lines(faults)] == ["'dog': 6", "000.json"]
    (broken,) = [fault for fault in faults if fault.kind == "broken_image"]
    many = [broken] * (SHOWN_LINES + 3)
    text = fault_message("pets_ann_v1", many, annotations, data, Path("all.txt"))
    assert text.endswith("\n  and 3 more")
    assert "--set" not in text
