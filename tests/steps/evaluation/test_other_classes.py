"""A champion of other classes is compared on the classes that both know, by name, and never replaced uncompared."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from sightline.data.detections import Detections
from sightline.database import open_database
from sightline.evaluation.shared_classes import shared_classes
from sightline.files import file_sha256
from sightline.report.pages.summary import read_summary
from sightline.steps import promote
from sightline.steps import test as testing


def crown(site, model, **changes):
    for metric in ("mask_AP", "EIR"):
        pointer = {"metric": metric, "sha256": file_sha256(model), "uri": model.as_uri(), "value": 0.5}
        pointer |= {"training_tag": "plates_train_v0", "previous_sha256": "", "previous_uri": ""} | changes
        path = site.folder / "bucket" / "champions" / "plates" / f"{metric}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(pointer))


def with_classes(site, quality, classes):
    return site.model(quality, seed=len(classes), classes=classes, category_ids=tuple(range(1, len(classes) + 1)))


@pytest.fixture
def classes(site):
    return site.config().data.classes


@pytest.mark.usefixtures("oracle")
def test_the_same_classes_in_another_order_are_comparable(site, classes):
    reordered = tuple(reversed(classes))
    crown(site, with_classes(site, 60, reordered))

    kept = promote.run(site.config(), "code", site.trained(site.model(30)))
    beaten = promote.run(site.config(), "code", site.trained(site.model(90)))

    for selection in kept.selections:
        assert (selection.name, selection.promoted, selection.compared_classes) == ("champion", False, [])
        assert "the champion of plates_train_v0 stays" in selection.reason
    metrics = {model.name: model.metrics for model in kept.models}
    assert metrics["champion"]["EIR"] > metrics["best"]["EIR"]
    assert all(selection.promoted and selection.previous_value > 0.4 for selection in beaten.selections)


@pytest.mark.usefixtures("oracle")
def test_a_dataset_that_gained_classes_is_compared_on_the_shared_ones(site, classes):
    known = tuple(name for name in classes if name not in {"0", "1"})
    crown(site, with_classes(site, 40, known))

    kept = promote.run(site.config("evaluate.select_by=[mask_AP]"), "code", site.trained(site.model(20)))
    (selection,) = kept.selections
    tested = testing.run(site.config("evaluate.select_by=[mask_AP]"), "code", kept)
    beaten = promote.run(site.config("evaluate.select_by=[mask_AP]"), "code", site.trained(site.model(70)))

    assert (selection.promoted, selection.champion, selection.name) == (False, "measured", "champion")
    assert (selection.added_classes, selection.removed_classes) == (["0", "1"], [])
    assert selection.compared_classes == list(known)
    assert selection.reason.endswith("(added: 0, 1)")
    best, champion = kept.models
    assert (best.classes, champion.classes) == ([], list(known))
    assert champion.metrics["mask_AP"] == selection.value == selection.previous_value
    assert "EIR" not in champion.metrics
    assert best.metrics["mask_AP"] == selection.candidate_value
    document = site.summary(kept.files)["models"]["champion"]
    assert document["classes"] == list(known)
    assert set(site.sections(kept.files, "champion")["classes"]["rows"]) == set(known)
    assert read_summary(Path(kept.files.removeprefix("file://"))).models["champion"].metrics == champion.metrics
    assert [(model.role, model.classes) for model in tested.models] == [("candidate", []), ("champion", list(known))]
    with closing(open_database(site.config().database.url)) as database:
        assert database.metrics(champion.sha256, "plates_train_v1", "val") == {}  # on a part: they do not compare
        assert database.metrics(champion.sha256, "plates_train_v1", "test") == {}
        row = database.champion("plates", "mask_AP").record
    (selection,) = beaten.selections
    assert (selection.promoted, row.previous_value, row.value) == (True, None, selection.candidate_value)
    assert "best beats the champion of plates_train_v0" in selection.reason
    assert selection.value > selection.previous_value
    assert f"{selection.value:.4g} against {selection.previous_value:.4g}" in selection.reason
    assert selection.value != selection.candidate_value  # which counts the new classes too


@pytest.mark.usefixtures("oracle")
def test_the_comparison_counts_shared_classes_alone(site, classes):
    """A champion that knows one class, and that one perfectly, is not beaten by what is better on all others."""
    crown(site, with_classes(site, 100, ("r_board", "car")))

    (selection,) = promote.run(
        site.config("evaluate.select_by=[mask_AP]"), "code", site.trained(site.model(60))
    ).selections

    assert not selection.promoted
    assert selection.value == pytest.approx(1.0)
    assert (selection.compared_classes, selection.removed_classes) == (["r_board"], ["car"])
    assert "removed: car" in selection.reason
    assert selection.added_classes == [name for name in classes if name != "r_board"]


@pytest.mark.usefixtures("oracle")
def test_readings_need_every_class_that_is_read(site, classes):
    crown(site, with_classes(site, 20, tuple(name for name in classes if name != "9")))

    by = {one.metric: one for one in promote.run(site.config(), "code", site.trained(site.model(90))).selections}

    assert (by["mask_AP"].promoted, by["mask_AP"].champion) == (True, "measured")
    assert (by["EIR"].promoted, by["EIR"].champion) == (False, "incomparable")
    assert "has no EIR on the classes that both know (added: 9)" in by["EIR"].obstacle
    assert site.champion("EIR")["training_tag"] == "plates_train_v0"


@pytest.mark.usefixtures("oracle")
def test_classes_that_plates_are_not_read_from_do_not_hinder_readings(site, classes):
    crown(site, with_classes(site, 60, (*classes, "car")))

    result = promote.run(site.config(), "code", site.trained(site.model(30)))

    assert [(one.champion, one.name, one.removed_classes) for one in result.selections] == [
        ("measured", "champion", ["car"])
    ] * 2


@pytest.mark.usefixtures("oracle")
def test_without_a_shared_class_nothing_is_compared(site):
    crown(site, with_classes(site, 100, ("car", "tree")))
    train = site.trained(site.model(60))

    kept = promote.run(site.config(), "code", train)

    for selection in kept.selections:
        assert (selection.promoted, selection.champion) == (False, "incomparable")
        assert "has none of the classes" in selection.obstacle
        assert "car, tree" in selection.reason
    assert promote.run(site.config(), "code", train) == kept


@pytest.mark.usefixtures("oracle")
def test_shared_classes_without_truth_do_not_compare(site, classes):
    """Val has no r_board of a class that is only in the configuration."""
    truth = {entry["name"] for entry in val_categories(site) if entry["instances"]}
    rare = [name for name in classes if name not in truth]
    if not rare:
        pytest.skip("every class occurs in val")
    crown(site, with_classes(site, 100, (rare[0], "car")))

    (selection,) = promote.run(
        site.config("evaluate.select_by=[mask_AP]"), "code", site.trained(site.model(60))
    ).selections

    assert (selection.promoted, selection.champion) == (False, "incomparable")
    assert "has no mask_AP on the classes that both know" in selection.obstacle


def val_categories(site):
    checkout = next((site.folder / "work" / "checkouts").glob("plates_train_v1*"))
    document = json.loads((checkout / "training" / "plates" / "val.json").read_text())
    counts = [entry["category_id"] for entry in document["annotations"]]
    return [{**entry, "instances": counts.count(entry["id"])} for entry in document["categories"]]


def test_classes_are_matched_by_name():
    truth = {
        "images": [],
        "annotations": [{"category_id": id_} for id_ in (1, 2, 3)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "cow"}],
    }
    shared = shared_classes(("dog", "hen", "cat"), (1, 2, 7), truth)
    assert (shared.names, shared.added, shared.removed) == (("cat", "dog"), ("cow",), ("hen",))
    assert (shared.ids, shared.complete, shared.difference) == ({7: 1, 1: 2}, False, "added: cow; removed: hen")
    found = Detections(
        5,
        np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], np.float32),
        np.array([0.9, 0.8, 0.7], np.float32),
        np.array([7, 2, 1]),
        [{"size": [4, 4], "counts": name} for name in ("a", "b", "c")],
    )
    (mine,) = shared.translated([found])
    assert (mine.image_id, mine.category_ids.tolist(), mine.boxes_xyxy[:, 2].tolist()) == (5, [1, 2], [1.0, 3.0])
    assert [mask["counts"] for mask in mine.masks] == ["a", "c"]
    assert [entry["category_id"] for entry in shared.truth(truth)["annotations"]] == [1, 2]
    same = shared_classes(("cow", "dog", "cat"), (1, 2, 3), truth)
    assert same.complete
    assert same.truth(truth) is truth
