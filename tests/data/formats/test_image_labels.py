"""Labels of whole images, from flags of labelme files and from columns."""

import pytest

from sightline.config.data import Data
from sightline.data.formats.image_labels import LabelSetReader
from sightline.data.formats.labelme.folder import read_folder
from tests.data.formats.labelme_folders import shape, write

FACES = {"mask": ["with", "without"], "age": ["young", "old"]}


def settings(label_sets=FACES, **fields):
    return Data(repository="-", jobs=1, label_sets=label_sets, **fields)


def flags(*names):
    return dict.fromkeys(names, True) | {"other": False}


def test_flags_are_the_labels_of_the_image_and_shapes_are_not_used(tmp_path):
    write(tmp_path, "a.json", shape("nothing known"), flags=flags("old", "with", "blurred"))
    found = read_folder(tmp_path, settings())
    assert found.faults == []
    assert found.images[0].labels == ("mask/with", "age/old")
    assert found.images[0].instances == ()
    assert found.images[0].flags == ("blurred", "old", "with")


def test_an_alias_is_a_label(tmp_path):
    write(tmp_path, "a.json", flags=flags("covered", "age/young"))
    found = read_folder(tmp_path, settings(aliases={"covered": "mask/with"}))
    assert found.images[0].labels == ("mask/with", "age/young")


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["with"], ["missing_label"]),
        ([], ["missing_label", "missing_label"]),
        (["with", "without", "old"], ["several_labels"]),
    ],
)
def test_a_label_set_without_or_with_several_labels_is_a_fault(tmp_path, names, kinds):
    write(tmp_path, "a.json", flags=flags(*names))
    found = read_folder(tmp_path, settings())
    assert [fault.kind for fault in found.faults] == kinds
    assert found.images == []


def test_an_image_without_label_is_left_out_if_configured(tmp_path):
    write(tmp_path, "a.json", flags=flags("with"))
    write(tmp_path, "b.json", flags=flags("with", "old"), seed=1)
    found = read_folder(tmp_path, settings(faults={"missing_label": "drop"}))
    assert [image.image for image in found.images] == ["b.jpg"]
    assert found.dropped == {"missing_label": 1}
    assert found.left_out == {"mask/with": {"missing_label": 1}}


def test_a_label_set_with_several_labels_takes_all_or_none(tmp_path):
    tags = {"tags": {"classes": ["sun", "rain", "snow"], "multiple": True}}
    write(tmp_path, "a.json", flags=flags("snow", "sun"))
    write(tmp_path, "b.json", flags=flags(), seed=1)
    found = read_folder(tmp_path, settings(tags))
    assert [image.labels for image in found.images] == [("sun", "snow"), ()]
    assert found.faults == []


def test_a_name_that_two_label_sets_have_needs_its_set():
    reader = LabelSetReader(settings({"left": ["yes", "no"], "right": ["yes", "no"]}))
    labels, faults = reader.from_names(["left/yes", "right/no"], "a.json")
    assert (labels, faults) == (("left/yes", "right/no"), [])
    assert [fault.kind for fault in reader.from_names(["yes", "right/no"], "a.json")[1]] == ["missing_label"]


def test_columns_name_their_label_set():
    reader = LabelSetReader(settings({"left": ["yes", "no"], "right": ["yes", "no"]}))
    labels, faults = reader.from_columns({"left": ["yes"], "right": [" yes "]}, "labels.csv", "line 2")
    assert (labels, faults) == (("left/yes", "right/yes"), [])


@pytest.mark.parametrize(
    ("values", "kind", "label"),
    [
        ({"mask": ["wiht"], "age": ["old"]}, "unknown_label", "wiht"),
        ({"mask": [""], "age": ["old"]}, "missing_label", None),
        ({"age": ["old"]}, "missing_label", None),
        ({"mask": ["with", "without"], "age": ["old"]}, "several_labels", None),
    ],
)
def test_each_fault_of_a_column_names_its_line(values, kind, label):
    _, faults = LabelSetReader(settings()).from_columns(values, "labels.csv", "line 2")
    assert [(fault.kind, fault.label, fault.entry) for fault in faults] == [(kind, label, "line 2")]
    assert "labels.csv: line 2" in str(faults[0])
