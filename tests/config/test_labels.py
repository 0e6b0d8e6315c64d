"""Keypoints and label sets in the configuration."""

import pytest
from pydantic import ValidationError

from sightline.config.data import Data
from sightline.config.labels import Keypoints, LabelSet


def data(**fields):
    return Data(repository="-", **fields)


def test_classes_of_one_label_set_have_their_plain_names():
    assert data(label_sets={"defect": ["crack", "cut"]}).classes == ("crack", "cut")


def test_classes_of_several_label_sets_name_their_set():
    read = data(label_sets={"mask": ["yes", "no"], "age": {"classes": ["old"], "multiple": True}})
    assert read.classes == ("mask/yes", "mask/no", "age/old")
    assert read.label_sets["age"] == LabelSet(classes=("old",), multiple=True)


def test_a_stored_section_is_read_back_as_it_was():
    read = data(label_sets={"mask": ["yes", "no"], "age": ["old", "young"]}, keypoints=Keypoints(names=("a", "b")))
    assert Data.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize(
    "label_sets",
    [{"mask": []}, {"mask": ["a", "a"]}, {"a/b": ["x"], "c": ["y"]}, {" ": ["x"]}, {"mask": "yes"}],
    ids=["empty", "twice", "slash", "blank", "text"],
)
def test_label_sets_that_cannot_be_used_are_refused(label_sets):
    with pytest.raises(ValidationError) as caught:
        data(label_sets=label_sets)
    assert caught.value.errors()[0]["loc"][0] == "label_sets"


def test_classes_that_differ_from_the_label_sets_are_refused():
    with pytest.raises(ValidationError, match=r"data\.classes"):
        data(classes=("a",), label_sets={"mask": ["yes", "no"]})


@pytest.mark.parametrize(
    "fields",
    [
        {"names": ("a", "a")},
        {"names": ("a",), "skeleton": (("a", "b"),)},
        {"names": ("a", "b"), "flip_pairs": (("a", "a"),)},
        {"names": ("a", "b", "c"), "flip_pairs": (("a", "b"), ("b", "c"))},
        {"names": ("a", "b"), "sigmas": (0.1,)},
        {"names": ("a",), "sigmas": (0.0,)},
    ],
    ids=["twice", "unknown", "itself", "in two pairs", "sigma missing", "sigma zero"],
)
def test_keypoints_that_contradict_each_other_are_refused(fields):
    with pytest.raises(ValidationError):
        Keypoints(**fields)


def test_sigmas_are_uniform_unless_configured():
    assert len(set(Keypoints(names=("a", "b", "c")).complete_sigmas)) == 1
    assert Keypoints(names=("a", "b"), sigmas=(0.1, 0.2)).complete_sigmas == (0.1, 0.2)
