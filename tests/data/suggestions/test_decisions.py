"""What people do with suggestions in labelme, and what becomes of the file."""

import copy
import json

import pytest

from sightline.data.suggestions.decisions import decide_file
from sightline.data.suggestions.record import (
    ACCEPT,
    REJECT,
    SuggestedShape,
    Suggestion,
    SuggestionRecord,
    record_of,
    with_suggestions,
)
from sightline.data.suggestions.review import read_review, write_reviewed
from sightline.errors import DataError

BOX, OTHER, THIRD = [[1.0, 2.0], [30.0, 40.0]], [[50.0, 2.0], [90.0, 40.0]], [[1.0, 50.0], [20.0, 70.0]]


def shape(label, points=BOX, kind="rectangle", **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


def labelme(*shapes, flags=None):
    document = {"version": "5.5.0", "flags": flags or {}, "shapes": list(shapes), "imagePath": "a.png"}
    return document | {"imageData": None, "imageHeight": 80, "imageWidth": 100, "own key": [1]}


def suggest(document, *suggestions, new=False):
    """A file with suggestions: (kind, suggested class, index of the shape in doubt or None, suggested shapes)."""
    written, shapes = [], {}
    for number, (kind, label, index, drawn) in enumerate(suggestions, start=1):
        doubted = None if index is None else document["shapes"][index]
        originals = [] if index is None else [SuggestedShape(doubted["label"], doubted["points"], index)]
        stored = [SuggestedShape(one["label"], one["points"]) for one in drawn]
        was = doubted["label"] if doubted else ""
        written.append(Suggestion(number, kind, 0.93, label, was, originals=originals, shapes=stored))
        shapes[number] = drawn
    suggested = copy.deepcopy(document)
    flags = dict(document["flags"])
    with_suggestions(
        suggested, SuggestionRecord("shapes_ann_v1", "a" * 64, new=new, flags=flags, suggestions=written), shapes
    )
    return json.loads(json.dumps(suggested))


def decided(document):
    result = decide_file(document, record_of(document, "a.json"), "a.json")
    assert "sightline" not in json.dumps(result.document)
    assert "?" not in json.dumps([one["label"] for one in result.document["shapes"]])
    assert result.document["own key"] == [1]
    return result.document, [one.status for one in result.decisions]


def outcome(document):
    """The labels with their places, and the decisions."""
    result, statuses = decided(document)
    return [(one["label"], one["points"]) for one in result["shapes"]], statuses


@pytest.fixture
def wrong():
    """A cat that is a dog, and a bird that is right."""
    return suggest(labelme(shape("cat"), shape("bird", OTHER)), ("wrong class", "dog", 0, [shape("dog")]))


def test_a_person_sees_what_is_suggested(wrong):
    suggested = wrong["shapes"][-1]
    assert suggested["label"] == "dog?"
    assert suggested["description"] == "suggestion: wrong class, was cat, 0.93"
    own = {"suggestion": 1, "kind": "wrong class", "score": 0.93, "model": "a" * 64, "replaces": [0]}
    assert suggested["sightline"] == own
    assert wrong["flags"] == {ACCEPT: False, REJECT: False}
    assert [one["label"] for one in wrong["shapes"][:2]] == ["cat", "bird"]


def test_saving_without_a_decision_changes_nothing(wrong):
    result, statuses = decided(wrong)
    assert statuses == ["open"]
    assert result == labelme(shape("cat"), shape("bird", OTHER))


def test_renaming_the_suggestion_accepts_it(wrong):
    wrong["shapes"][2]["label"] = "dog"
    result, statuses = decided(wrong)
    assert statuses == ["accepted"]
    assert result["shapes"] == [shape("bird", OTHER), shape("dog", description="")]


@pytest.mark.parametrize(("label", "points", "status"), [
    ("dog", [[2.0, 2.0], [30.0, 40.0]], "changed"),
    ("horse", BOX, "changed"),
    ("dog?", [[2.0, 2.0], [30.0, 40.0]], "changed"),  # whoever corrects its outline wants it
    ("dog", [[1.0001, 2.0], [30.0, 40.0]], "accepted"),
])  # fmt: skip
def test_a_suggestion_may_be_changed(wrong, label, points, status):
    wrong["shapes"][2] |= {"label": label, "points": points}
    assert outcome(wrong) == ([("bird", OTHER), (label.removesuffix("?"), points)], [status])


@pytest.mark.parametrize(
    ("label", "labels", "status"),
    [
        ("unsure?", ["bird", "unsure?"], "accepted"),
        ("unsure??", ["cat", "bird"], "open"),
        ("dog", ["bird", "dog"], "changed"),
    ],
)
def test_the_name_of_a_class_may_end_in_a_question_mark(label, labels, status):
    document = suggest(
        labelme(shape("cat"), shape("bird", OTHER)), ("wrong class", "unsure?", 0, [shape("unsure?", BOX)])
    )
    assert document["shapes"][-1]["label"] == "unsure??"
    document["shapes"][-1]["label"] = label
    result = decide_file(document, record_of(document, "a.json"), "a.json")
    assert [one["label"] for one in result.document["shapes"]] == labels
    assert [one.status for one in result.decisions] == [status]


def test_deleting_the_suggestion_rejects_it(wrong):
    del wrong["shapes"][2]
    assert outcome(wrong) == ([("cat", BOX), ("bird", OTHER)], ["rejected"])


def test_deleting_the_shape_in_doubt_accepts_the_suggestion(wrong):
    del wrong["shapes"][0]
    assert outcome(wrong) == ([("bird", OTHER), ("dog", BOX)], ["accepted"])


def test_deleting_both_is_another_decision(wrong):
    del wrong["shapes"][2], wrong["shapes"][0]
    assert outcome(wrong) == ([("bird", OTHER)], ["changed"])


@pytest.mark.parametrize("rest", ["kept", "deleted"])
@pytest.mark.parametrize(("label", "status"), [("dog", "accepted"), ("horse", "changed")])
def test_correcting_the_shape_in_doubt_decides_too(wrong, rest, label, status):
    wrong["shapes"][0]["label"] = label
    if rest == "deleted":
        del wrong["shapes"][2]
    assert outcome(wrong) == ([(label, BOX), ("bird", OTHER)], [status])


@pytest.mark.parametrize(("flag", "labels", "status"), [
    (ACCEPT, ["bird", "dog"], "accepted"), (REJECT, ["cat", "bird"], "rejected"),
])  # fmt: skip
def test_a_flag_decides_on_what_is_open(wrong, flag, labels, status):
    wrong["flags"][flag] = True
    found, statuses = outcome(wrong)
    assert ([label for label, _ in found], statuses) == (labels, [status])


def test_both_flags_are_refused(wrong):
    wrong["flags"] |= {ACCEPT: True, REJECT: True}
    with pytest.raises(DataError, match=r"a\.json"):
        decided(wrong)


def test_flags_do_not_overrule_single_decisions():
    document = suggest(
        labelme(shape("cat"), shape("bird", OTHER)),
        ("wrong class", "dog", 0, [shape("dog")]),
        ("wrong class", "cat", 1, [shape("cat", OTHER)]),
        ("missing", "bird", None, [shape("bird", THIRD)]),
    )
    document["shapes"][2]["label"] = "dog"
    del document["shapes"][4]
    document["flags"][REJECT] = True
    expected = [("bird", OTHER), ("dog", BOX)], ["accepted", "rejected", "rejected"]
    assert outcome(copy.deepcopy(document)) == expected
    document["flags"] = {ACCEPT: True, REJECT: False}
    assert outcome(document) == ([("dog", BOX), ("cat", OTHER)], ["accepted", "accepted", "rejected"])


@pytest.fixture
def needless():
    """A spurious cat."""
    return suggest(labelme(shape("cat"), shape("bird", OTHER)), ("spurious", "", 0, [shape("delete")]))


def test_an_object_to_delete_is_marked(needless):
    assert needless["shapes"][2]["label"] == "delete?"
    assert outcome(copy.deepcopy(needless)) == ([("cat", BOX), ("bird", OTHER)], ["open"])
    for change, expected in (
        (lambda shapes: shapes.pop(0), ([("bird", OTHER)], ["accepted"])),
        (lambda shapes: shapes[2].update(label="delete"), ([("bird", OTHER)], ["accepted"])),
        (lambda shapes: shapes.pop(2), ([("cat", BOX), ("bird", OTHER)], ["rejected"])),
        (lambda shapes: shapes[0].update(label="dog"), ([("dog", BOX), ("bird", OTHER)], ["changed"])),
        (lambda shapes: (shapes.pop(0), shapes.pop(1)), ([("bird", OTHER)], ["accepted"])),
    ):
        document = copy.deepcopy(needless)
        change(document["shapes"])
        assert outcome(document) == expected
    needless["flags"][ACCEPT] = True
    assert outcome(needless) == ([("bird", OTHER)], ["accepted"])


def test_a_program_that_loses_unknown_keys_of_shapes_loses_no_decision(wrong):
    for one in wrong["shapes"]:
        one.pop("sightline", None)
    assert outcome(copy.deepcopy(wrong)) == ([("cat", BOX), ("bird", OTHER)], ["open"])
    del wrong["shapes"][2]
    assert outcome(wrong) == ([("cat", BOX), ("bird", OTHER)], ["rejected"])


def test_own_shapes_stay(wrong):
    wrong["shapes"].append(shape("horse", THIRD, description="seen at night"))
    result, _ = decided(wrong)
    assert result["shapes"][-1] == shape("horse", THIRD, description="seen at night")


def test_an_object_and_its_keypoints_are_accepted_together():
    drawn = [shape("face", group_id=1), shape("nose", [[10.0, 10.0]], "point", group_id=1)]
    document = suggest(labelme(), ("missing", "face", None, drawn))
    document["shapes"][0]["label"] = "face"
    assert outcome(document) == ([("face", BOX), ("nose", [[10.0, 10.0]])], ["accepted"])


# Labels of the whole image.


def classified(label, was, flags):
    document = labelme(flags=flags)
    suggestion = Suggestion(1, "wrong class", 0.9, label, was, of_image=True)
    with_suggestions(
        document, SuggestionRecord("shapes_ann_v1", "a" * 64, flags=dict(flags), suggestions=[suggestion]), {}
    )
    return document


@pytest.mark.parametrize(("ticked", "labels", "status"), [
    ({}, {"cat"}, "open"),
    ({"dog?": True}, {"dog"}, "accepted"),
    ({ACCEPT: True}, {"dog"}, "accepted"),
    ({"dog": True, "cat": False}, {"dog"}, "accepted"),
    ({"dog": True}, {"dog"}, "accepted"),
    ({"cat": False, "bird": True}, {"bird"}, "changed"),
    ({REJECT: True}, {"cat"}, "rejected"),
])  # fmt: skip
def test_a_label_of_the_image_is_a_flag(ticked, labels, status):
    document = classified("dog", "cat", {"cat": True, "dog": False, "bird": False})
    document["flags"] |= ticked
    result, statuses = decided(document)
    assert statuses == [status]
    assert {name for name, value in result["flags"].items() if value} == labels
    assert not any(name in result["flags"] for name in ("dog?", ACCEPT, REJECT))


def test_a_label_to_remove_is_a_flag():
    document = classified("", "cat", {"cat": True, "red": True})
    assert "not cat?" in document["flags"]
    document["flags"]["not cat?"] = True
    result, statuses = decided(document)
    assert (result["flags"], statuses) == ({"red": True}, ["accepted"])


# Folders.


def write(folder, name, document):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(document | {"imagePath": f"{name}.png"}), encoding="utf-8")
    (folder / f"{name}.png").write_bytes(name.encode())


def test_the_rest_of_the_version_comes_from_its_base(tmp_path, wrong):
    base, folder, out = tmp_path / "base", tmp_path / "suggested", tmp_path / "out"
    for name in ("a", "b", "강아지"):
        write(base, name, labelme(shape("cat"), shape("bird", OTHER)))
    accepted = copy.deepcopy(wrong)
    accepted["shapes"][2]["label"] = "dog"
    write(folder, "강아지", accepted | {"imageData": "aGk="})  # labelme embeds the image by default
    write(folder, "b", wrong | {"imageData": "aGk="})
    write(folder, "own", labelme(shape("horse")))
    review = read_review(folder)
    out.mkdir()
    write_reviewed(review, base, out)
    assert review.summary.text == "1 accepted (1 wrong class), 1 not decided (1 wrong class)"
    assert {path.name for path in out.iterdir()} == {
        f"{name}.{kind}" for name in ("a", "b", "강아지", "own") for kind in ("json", "png")
    }
    assert (out / "b.json").read_bytes() == (base / "b.json").read_bytes()
    result = json.loads((out / "강아지.json").read_text())
    assert [one["label"] for one in result["shapes"]] == ["bird", "dog"]
    assert result["imageData"] is None
    assert json.loads((base / "강아지.json").read_text())["shapes"][0]["label"] == "cat"  # the base is not changed


@pytest.mark.parametrize("place", ["other", "below/a"])
def test_a_file_that_was_moved_or_renamed_is_refused(tmp_path, wrong, place):
    """Else the image would be in the version twice, with both labels."""
    write(tmp_path / "base", "a", labelme(shape("cat"), shape("bird", OTHER)))
    target = tmp_path / "suggested" / place
    write(target.parent, target.name, wrong)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=place):
        write_reviewed(read_review(tmp_path / "suggested"), tmp_path / "base", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_new_images_without_a_decision_are_left_out(tmp_path):
    drawn = [shape("cat")]
    folder, out = tmp_path / "suggested", tmp_path / "out"
    for name in ("open", "accepted", "empty", "confirmed", "own"):
        document = suggest(labelme(), ("missing", "cat", None, drawn), new=True)
        if name in ("empty", "confirmed"):
            document = suggest(labelme(), new=True)
        document["flags"][ACCEPT] = name in ("accepted", "confirmed")
        document["shapes"] += [shape("dog", OTHER)] if name == "own" else []
        write(folder / "added-1", name, document)
    review = read_review(folder)
    assert sorted(review.undecided) == ["added-1/empty.json", "added-1/open.json"]
    out.mkdir()
    write_reviewed(review, None, out)
    left = {path.stem: json.loads(path.read_text())["shapes"] for path in out.rglob("*.json")}
    assert {name: [one["label"] for one in shapes] for name, shapes in left.items()} == {
        "accepted": ["cat"], "confirmed": [], "own": ["dog"],
    }  # fmt: skip
    assert {path.stem for path in out.rglob("*.png")} == left.keys()


def test_a_folder_without_suggestions_is_none_of_ours(tmp_path):
    write(tmp_path, "a", labelme(shape("cat")))
    write(tmp_path, "b", labelme(shape("cat")) | {"sightline": "a key of somebody else"})
    (tmp_path / "c.json").write_text('{"sightline": ')
    assert read_review(tmp_path) is None


def test_suggestions_for_two_versions_are_refused(tmp_path, wrong):
    write(tmp_path, "a", wrong)
    other = copy.deepcopy(wrong)
    other["sightline"]["base"] = "shapes_ann_v2"
    write(tmp_path, "b", other)
    with pytest.raises(DataError, match="shapes_ann_v2"):
        read_review(tmp_path)


@pytest.mark.parametrize("change", [{"format": 99}, {"base": 7}, {"suggestions": [{"number": "x"}]}])
def test_a_record_that_cannot_be_read_is_named(tmp_path, wrong, change):
    wrong["sightline"] |= change
    write(tmp_path, "a", wrong)
    with pytest.raises(DataError, match=r"a\.json"):
        read_review(tmp_path)


def ragged(document):
    document["sightline"]["suggestions"][0]["shapes"][0]["points"] = [[1.0], [2.0, 3.0]]


def no_label(document):
    del document["shapes"][-1]["label"]


def list_of_flags(document):
    document["flags"] = ["dog?"]


@pytest.mark.parametrize("change", [ragged, no_label, list_of_flags, lambda document: document.pop("sightline")])
def test_suggestions_that_lost_what_decides_on_them_are_named(tmp_path, wrong, change):
    """Else ``dog?`` would be a class of the next version."""
    change(wrong)
    write(tmp_path, "a", wrong)
    with pytest.raises(DataError, match=r"a\.json"):
        read_review(tmp_path)


def test_flags_alone_are_traces_of_suggestions(tmp_path):
    write(tmp_path, "a", labelme(shape("cat"), shape("dog?", OTHER), flags={ACCEPT: False, REJECT: False}))
    with pytest.raises(DataError, match=r"a\.json"):
        read_review(tmp_path)


def test_a_point_beyond_all_numbers_is_a_changed_outline(wrong):
    wrong["shapes"][-1]["points"] = [[10**400, 1], [30, 40]]
    assert decided(wrong)[1] == ["changed"]


def test_a_file_that_was_broken_since_is_named(tmp_path, wrong):
    write(tmp_path, "a", wrong)
    (tmp_path / "b.json").write_text(json.dumps(wrong)[:-20])
    with pytest.raises(DataError, match=r"b\.json"):
        read_review(tmp_path)
