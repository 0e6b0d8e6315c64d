"""Two versions image by image: what was added, removed, relabeled, replaced and moved."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sightline.data.tools.compare import ComparedImage, ComparedObject, compare_images


def thing(label="cat", x=0.0):
    return ComparedObject(label, [[x, 0.0, x + 5, 0.0, x + 5, 5.0]], (x, 0.0, 5.0, 5.0))


def image(name, *objects, sha256="", split=None, labels=()):
    return ComparedImage(name, Path(name), sha256 or name, tuple(objects), labels, split)


def names(changed):
    return [(one.before and one.before.name, one.after and one.after.name) for one in changed]


def test_every_kind_of_change_is_told_apart():
    before = [
        image("same", thing()), image("gone", thing()), image("drawn", thing(), thing("dog")),
        image("pixels", thing(), sha256="1"), image("old/path", thing(), sha256="2"), image("side", split="train"),
        image("label", labels=("a",)),
    ]  # fmt: skip
    after = [
        image("same", thing()), image("new", thing(), thing()), image("drawn", thing("dog"), thing(x=1.0)),
        image("pixels", thing(), sha256="9"), image("new/path", thing(), sha256="2"), image("side", split="val"),
        image("label", labels=("b",)),
    ]  # fmt: skip
    found = compare_images(before, after)
    assert (found.before, found.after) == (7, 7)
    assert names(found.added) == [(None, "new")]
    assert names(found.removed) == [("gone", None)]
    assert names(found.relabelled) == [("drawn", "drawn"), ("label", "label")]
    assert names(found.replaced) == [("pixels", "pixels")]
    assert names(found.moved) == [("side", "side"), ("old/path", "new/path")]
    drawn = found.relabelled[0]
    assert (drawn.gone, drawn.new, drawn.kept) == ((thing(),), (thing(x=1.0),), 1)
    assert len(found.added[0].new) == 2


def test_a_duplicated_object_is_a_change():
    (changed,) = compare_images([image("a", thing())], [image("a", thing(), thing())]).relabelled
    assert (changed.gone, changed.new, changed.kept) == ((), (thing(),), 1)


SIDES = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.sampled_from("12"), st.lists(st.sampled_from("xy"))))


@given(SIDES, SIDES)
def test_swapping_the_versions_swaps_the_differences(one, other):
    sides = [
        [image(name, *map(thing, labels), sha256=name + digest) for name, (digest, labels) in side.items()]
        for side in (one, other)
    ]
    there, back = compare_images(*sides), compare_images(*sides[::-1])
    assert names(there.added) == [(b, a) for a, b in names(back.removed)]
    assert sorted(names(there.relabelled)) == sorted(names(back.relabelled))
    assert [len(changed.new) for changed in there.relabelled] == [len(changed.gone) for changed in back.relabelled]
    assert compare_images(sides[0], sides[0]).relabelled == []
