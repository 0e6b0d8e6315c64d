"""record of another release than the one that published a training tag, and what it says about what it left out."""

import copy
import dataclasses
import json
import logging

import pytest

from sightline.config.decode import decode
from sightline.config.difference import differences_from_stored
from sightline.config.digest import relevant_part
from sightline.data.recording.training_set import from_bytes, to_bytes
from sightline.errors import RepositoryError
from sightline.steps import record
from sightline.storage import open_storage
from tests.labelled_folder import CLASSES, names
from tests.steps.test_record import make_world


def without_new_fields(step, config):
    """What a release without aliases and without two of the fault kinds stored."""
    document = copy.deepcopy(relevant_part(step, config))
    del document["data"]["aliases"], document["data"]["faults"]["unknown_shape"]
    del document["data"]["faults"]["embedded_differs"]
    return document


@pytest.fixture
def earlier(tmp_path, monkeypatch):
    """A world whose training tag an earlier release published."""
    world = make_world(tmp_path, 24)
    world.add("pets_ann_v1")
    with monkeypatch.context() as patched:
        patched.setattr(record, "relevant_part", without_new_fields)
        world.run("pets_ann_v1")
    return world


def test_a_training_tag_of_an_earlier_release_is_found_again(earlier):
    commit = earlier.tags()["pets_train_v1"]
    again = record.run(earlier.config("pets_ann_v1"), "another code")
    assert again.training_commit == commit == earlier.tags()["pets_train_v1"]


def test_a_new_field_that_is_set_is_a_difference(earlier):
    with pytest.raises(RepositoryError) as caught:
        record.run(earlier.config("pets_ann_v1", f"data.aliases={{Cat: {CLASSES[0]}}}"), "another code")
    assert "data.aliases.Cat was None and is 'cat'" in str(caught.value)


@pytest.mark.parametrize(("stored", "overrides", "paths"), [
    ({}, [], []),
    ({"aliases": {"Cat": "a"}}, [], ["data.aliases.Cat"]),
    ({"aliases": {"Cat": "a"}}, ["data.aliases={Cat: a}"], []),
    ({"faults": {"zero_area": "drop"}}, [], []),
    ({"faults": {"zero_area": "error"}}, [], ["data.faults.zero_area"]),
    ({"forgotten": 1}, [], ["data.forgotten"]),
])  # fmt: skip
def test_what_a_stored_configuration_lacks_counts_as_the_default(stored, overrides, paths):
    now = relevant_part("record", decode("instance_segmentation", ["data.classes=[a]", *overrides]))
    found = differences_from_stored(
        {"task": "instance_segmentation", "data": {"tag": "", "classes": ["a"], **stored}}, now
    )
    assert [one.path for one in found] == paths


def test_a_document_without_what_was_left_out_is_read(earlier):
    training_set = earlier_set(earlier)
    document = json.loads(to_bytes(training_set))
    del document["left_out"]
    assert from_bytes(json.dumps(document).encode(), "dataset.json") == dataclasses.replace(training_set, left_out={})


def earlier_set(world):
    from sightline.data.recording.training_tag import find_training_tag
    from sightline.data.tags import DatasetTag

    return find_training_tag(str(world.repository), DatasetTag.parse("pets_train_v1"), 60).training_set


def test_objects_that_are_left_out_are_said_at_the_end_and_on_the_page(tmp_path, caplog):
    world = make_world(tmp_path, 24)
    for name in names(5):
        path = world.photos / f"{name}.json"
        document = json.loads(path.read_text())
        document["shapes"][0] |= {"shape_type": "point", "points": [[5, 5]]}
        path.write_text(json.dumps(document))
    world.add("pets_ann_v1")
    with caplog.at_level(logging.WARNING):
        result = world.run("pets_ann_v1")
    warnings = [entry.message for entry in caplog.records if "left out" in entry.message]
    assert warnings == [
        "pets_ann_v1: objects left out: 2 shapes of class cat (unsupported_shape 2)",
        "pets_ann_v1: objects left out: 2 shapes of class dog (unsupported_shape 2)",
        "pets_ann_v1: objects left out: 1 shape of class bird (unsupported_shape 1)",
    ]
    assert caplog.records[-1].message == warnings[-1]
    storage = open_storage(str(world.folder / "bucket"))
    folder = result.files.removeprefix(storage.uri + "/")
    numbers = json.loads(storage.read_bytes(f"{folder}/report.json")[0])
    assert numbers["left_out"]["dog"] == {"unsupported_shape": 2}
    page = storage.read_bytes(f"{folder}/report.html")[0].decode()
    assert "Objects left out, by class" in page
