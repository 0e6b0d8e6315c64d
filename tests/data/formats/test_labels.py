"""Spellings of labels, aliases, and what becomes of labels that mean no class."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.config.decode import decode
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.formats.labels import LabelMap, cleaned, difference, respelled
from sightline.data.formats.reading import stopping_faults
from sightline.errors import ConfigurationError
from tests.data.formats.labelme_folders import settings, shape, write

DECOMPOSED, COMPOSED = "cafe\u0301", "caf\u00e9"


@pytest.mark.parametrize(("label", "clean"), [
    ("cat", "cat"),
    (" cat\t", "cat"),
    ("\u00a0cat\u3000", "cat"),
    ("c\u200bat\ufeff", "cat"),
    ("cat\x00\x1b", "cat"),
    ("traffic\nlight", "traffic light"),
    (DECOMPOSED, COMPOSED),
    ("\u200b \ufeff", ""),
    ("न\u200dय", "न\u200dय"),  # the joiner is part of how the word is written
    ("ca\u200ct", "cat"),
    ("사진", "사진"),
])  # fmt: skip
def test_a_label_is_cleaned(label, clean):
    assert cleaned(label) == clean


@given(st.text())
def test_a_cleaned_label_is_clean(label):
    assert cleaned(cleaned(label)) == cleaned(label)
    assert cleaned(label) == cleaned(label).strip()


@pytest.mark.parametrize(("label", "meant", "ways"), [
    ("cat", "cat", None),
    ("cat", "dog", None),
    ("cat ", "cat", "leading or trailing spaces"),
    ("c\u200bat", "cat", "an invisible character (U+200B)"),
    ("traffic\u00a0light", "traffic light", "an invisible character (U+00A0)"),
    (DECOMPOSED, COMPOSED, "its Unicode form"),
    ("Cat", "cat", "letter case or the number of spaces"),
    ("a  b", "a b", "letter case or the number of spaces"),
    ("Cat ", "cat", "leading or trailing spaces and letter case or the number of spaces"),
])  # fmt: skip
def test_the_difference_of_two_spellings(label, meant, ways):
    assert difference(label, meant) == ways


@pytest.mark.parametrize(("labels", "meant"), [
    ({"cat": 1, "dog": 9}, {}),
    ({"cat": 9, "Cat": 1, "CAT ": 2}, {"Cat": "cat", "CAT ": "cat"}),
    ({"cat": 1, "Cat": 9}, {"cat": "Cat"}),
    ({"Cat": 3, "cat": 3}, {"cat": "Cat"}),
    ({"cat ": 9}, {"cat ": "cat"}),
    ({DECOMPOSED: 9, COMPOSED: 1}, {DECOMPOSED: COMPOSED}),
    ({"__Ignore__": 9}, {"__Ignore__": "__ignore__"}),
    ({"\u200b": 2}, {}),
])  # fmt: skip
def test_the_most_frequent_spelling_is_meant(labels, meant):
    assert respelled(labels, ["__ignore__"]) == meant


def aliased(aliases, **fields):
    return LabelMap(settings(aliases=aliases, ignored_labels=("none",), **fields), classes_known=True)


@pytest.mark.parametrize(("label", "target"), [
    ("car", "car"), ("Car", "car"), ("coach", "bus"), ("bus-7", "bus"), ("bus-x", "bus-x"), ("a bus-7", "a bus-7"),
    ("nothing", "none"), ("lorry", "lorry"), ("bus-12", "car"),
])  # fmt: skip
def test_an_alias_is_a_name_or_else_an_expression_for_the_whole_label(label, target):
    aliases = {"Car": "car", "coach": "bus", r"bus-\d+": "bus", "noth.*": "none", "bus-12": "car"}
    assert aliased(aliases).target(label) == target


def test_a_class_means_itself_whatever_matches_it():
    labels = aliased({".*": "bus"})
    assert (labels.target("car"), labels.target("none"), labels.target("lorry")) == ("car", "none", "bus")


def test_a_label_that_several_expressions_match_is_a_fault(tmp_path):
    write(tmp_path, "a.json", shape("truck1"))
    data = settings(aliases={"truck.": "car", ".*1": "bus"})
    (fault,) = read_folder(tmp_path, data).faults
    assert fault.kind == "unknown_label"
    assert fault.reason == "the label matches several entries of data.aliases: 'truck.' ('car') and '.*1' ('bus')"
    data = settings(aliases={"truck.": "car", ".*1": "car"})
    assert read_folder(tmp_path, data).faults == []


def test_shapes_of_an_alias_are_shapes_of_its_class(tmp_path):
    write(tmp_path, "a.json", shape("Car"), shape("car"), shape("nothing"), shape("person-1", group_id=1),
          shape("person-2", group_id=1, points=[[40, 5], [60, 5], [60, 40]]))  # fmt: skip
    data = settings(aliases={"Car": "car", "nothing": "none", r"person-\d": "bus"}, ignored_labels=("none",))
    annotations = read_folder(tmp_path, data)
    assert [(fault.kind, fault.label) for fault in annotations.faults] == [("duplicate_shape", "car")]
    assert [(one.label, len(one.segmentation)) for one in annotations.images[0].instances] == [("car", 1), ("bus", 2)]
    assert annotations.ignored == 1
    assert annotations.labels == {"Car": 1, "car": 1, "nothing": 1, "person-1": 1, "person-2": 1}


@pytest.mark.parametrize(("aliases", "said"), [
    ("{Car: lorry}", "'Car' leads to 'lorry'"),
    ("{a: b, b: car}", "'a' leads to 'b', itself an alias of 'car'"),
    ("{a: b, b: a}", "'a' leads to 'b', itself an alias of 'a'"),
    ("{car: bus}", "'car' is a class itself"),
    ("{none: bus}", "'none' is an ignored label itself"),
    ("{'a(': bus}", "'a(' is neither (missing ), unterminated subpattern at position 1)"),
    ("{a: [bus]}", "data.aliases.a"),
    ("[Car, car]", "data.aliases"),
])  # fmt: skip
def test_aliases_that_lead_nowhere_are_refused(aliases, said):
    overrides = ["data.classes=[car, bus]", "data.ignored_labels=[none]", f"data.aliases={aliases}"]
    with pytest.raises(ConfigurationError) as caught:
        decode("instance_segmentation", overrides)
    assert "has 1 error:" in str(caught.value)
    assert said in str(caught.value)


SPELLINGS = ["car", "car", "Car", "car ", "c\u200bar", DECOMPOSED, COMPOSED, COMPOSED]


def test_spellings_of_one_label_are_faults_where_classes_are_not_known(tmp_path):
    write(tmp_path, "a.json", *[shape(label, points=[[i, 1], [i + 9, 1], [i, 9]]) for i, label in enumerate(SPELLINGS)])
    faults = read_folder(tmp_path, settings(), classes_known=False).faults
    assert [(fault.kind, fault.shape, fault.label) for fault in faults] == [
        ("unknown_label", index, SPELLINGS[index]) for index in (2, 3, 4, 5)
    ]
    assert faults[0].reason == "the label differs from 'car' by letter case or the number of spaces"
    assert faults[0].remedy == "rename it to 'car', or map it with data.aliases"


def test_classes_that_differ_in_letter_case_are_what_they_are(tmp_path):
    write(tmp_path, "a.json", shape("A"), shape("a"))
    assert read_folder(tmp_path, settings(classes=("A", "a"))).faults == []


def test_a_spelling_of_an_ignored_label_is_a_fault(tmp_path):
    write(tmp_path, "a.json", shape("__Ignore__"))
    data = settings(ignored_labels=("__ignore__",))
    (fault,) = stopping_faults(read_folder(tmp_path, data), data.faults)
    assert fault.reason.startswith("the label differs from ignored label '__ignore__' by letter case")


def test_what_policies_leave_out_is_counted_class_by_class(tmp_path):
    write(
        tmp_path, "a.json",
        shape(), shape(shape_type="point", points=[[5, 5]]), shape("Bus", points=[[1, 1], [2, 2]]),
        shape("lorry"), shape(points="?"), shape("none", shape_type="line"), shape(), shape("bus"),
        shape(points=[[-9, 10], [30, 10], [30, 30]]),
    )  # fmt: skip
    write(tmp_path, "b.json", shape("bus"), shape("lorry"), image=False)
    data = settings(
        aliases={"Bus": "bus"}, ignored_labels=("none",),
        faults={"unknown_label": "drop", "broken_json": "drop", "missing_image": "drop"},
    )  # fmt: skip
    annotations = read_folder(tmp_path, data)
    assert annotations.left_out == {
        "bus": {"missing_image": 1, "zero_area": 1},
        "car": {"broken_json": 1, "unsupported_shape": 1},
    }
    assert [instance.label for instance in annotations.images[0].instances] == ["car", "bus", "car"]
    assert annotations.dropped == {
        "unknown_label": 1, "broken_json": 1, "missing_image": 1, "zero_area": 1, "unsupported_shape": 1,
        "duplicate_shape": 1, "outside_image": 1,
    }  # fmt: skip
