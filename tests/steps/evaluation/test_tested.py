"""test: the selected models come back from the bucket, see images, and tell what they saw."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from sightline.database import Named, open_database
from sightline.errors import ConfigurationError, DataError, ModelFileError, StepError
from sightline.files import file_sha256
from sightline.report.pages.summary import read_summary
from sightline.steps import promote
from sightline.steps import test as testing
from sightline.tasks.classification.settings import Cnn
from tests.golden import raises


def selected(site, *models, version="v1", overrides=()):
    return promote.run(site.config(*overrides), "code", site.trained(*models, version=version))


def local(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


@pytest.mark.usefixtures("oracle")
def test_the_selected_model_is_tested_from_the_bucket(site):
    model = site.model(60)
    chosen = selected(site, model)
    model.unlink()
    shutil.rmtree(site.folder / "work" / "evaluate")

    result = testing.run(site.config(), "code", chosen)

    [tested] = result.models
    assert tested.metric == "mask_AP, EIR"
    assert tested.uri == chosen.selections[0].uri
    assert {"box_AP", "mask_AP", "dv_mAP", "EIR"} <= set(tested.metrics)
    assert 0 < tested.metrics["EIR"] < 1
    assert tested.images_per_second > 0
    assert result.environment.accelerators == 0
    assert result.environment.threads == torch.get_num_threads()
    assert 0.05 < result.environment.memory_gb < 100
    drawn = site.summary(result.files)["drawn"]
    examples = site.sections(result.files)["readings"]["examples"]
    assert sum(item["remark"]["mistakes"] > 0 for item in drawn) == sum(not one["predicted"] for one in examples)
    assert (result.images, result.unlabelled_images) == (len(site.summary(result.files)["drawn"]), 0)
    with closing(open_database(site.config().database.url)) as database:
        assert database.metrics(tested.sha256, "plates_train_v1", "test") == tested.metrics


@pytest.mark.usefixtures("oracle")
def test_runs_are_connected_with_what_they_measured_selected_and_tested(site, monkeypatch):
    first, worse = site.model(60), site.model(20, version="v2")
    monkeypatch.setenv("SIGHTLINE_RUN_ID", "r1")
    selected(site, first)
    elsewhere = f"database.url=sqlite:///{site.folder / 'other.sqlite'}"
    for run_id, overrides in (("r2", ()), ("r3", ()), ("r4", (elsewhere,))):  # r3 and r4 find the work of r2
        monkeypatch.setenv("SIGHTLINE_RUN_ID", run_id)
        chosen = selected(site, worse, version="v2", overrides=overrides)
        testing.run(site.config(*overrides), "code", chosen)

    sha256 = file_sha256(first)
    kept = {("champion", ""), ("selected", "EIR"), ("selected", "mask_AP"), ("tested", "")}
    proposed = {("proposed", "EIR"), ("proposed", "mask_AP")}
    assert uses(site.config(), sha256) == {
        "r1": {("best", ""), ("selected", "EIR"), ("selected", "mask_AP"), *proposed},
        "r2": kept,
        "r3": kept,
    }
    own = {("best", ""), ("tested", ""), *proposed}
    assert uses(site.config(), file_sha256(worse)) == {"r2": own, "r3": own}
    assert uses(site.config(elsewhere), sha256) == {"r4": kept}
    with closing(open_database(site.config(elsewhere).database.url)) as database:
        model = database.model(sha256)
    assert (model.training_tag, model.run_id, model.code_rev) == ("plates_train_v1", None, "")  # no false claims


def uses(config, sha256):
    found = {}
    with closing(open_database(config.database.url)) as database:
        (model,) = database.lineage(Named("model", sha256)).models
    for one in model.uses:
        found.setdefault(one.run_id, set()).add((one.use.role, one.use.metric))
    return found


@pytest.mark.usefixtures("oracle")
def test_predictions_hold_detections_and_readings(site):
    result = testing.run(site.config(), "code", selected(site, site.model(100)))

    document = json.loads(local(result.models[0].predictions).read_text())
    truth = site.sections(result.files)["readings"]["examples"]
    assert len(document["images"]) == result.images
    for image, example in zip(document["images"], truth, strict=True):
        assert image["image"] == example["image"]
        assert example["right"]
        for true, read in zip(example["truth"], image["readings"], strict=True):
            assert {"text": " ".join(read["texts"]), "note": read["kind"]} == true
        assert all(len(reading["texts"]) == 2 and reading["score"] == 0.9 for reading in image["readings"])
        boards = [found for found in image["detections"] if found["class"].endswith("_board")]
        assert len(boards) == len(image["readings"])
        x1, y1, x2, y2 = boards[0]["box_xyxy"]
        assert x2 > x1
        assert y2 > y1
        assert boards[0]["mask"]["size"] == [144, 192]


@pytest.mark.usefixtures("oracle")
def test_the_best_candidate_is_tested_and_beside_it_the_champion_that_stays(site):
    first, own = site.model(100), site.model(30)
    selected(site, first)
    chosen = selected(site, own)

    result = testing.run(site.config(), "code", chosen)

    assert [(model.name, model.role, model.sha256, model.metric) for model in result.models] == [
        ("best", "candidate", file_sha256(own), "mask_AP, EIR"),
        ("champion", "champion", file_sha256(first), "mask_AP, EIR"),
    ]
    mine, champion = result.models
    assert mine.metrics["EIR"] < champion.metrics["EIR"]
    summary = read_summary(local(result.files))
    assert list(summary.models) == ["best", "champion"]
    for model in summary.models.values():
        assert {"mask_AP", "EIR"} <= set(model.intervals) <= set(model.metrics)
        for metric, (low, high) in model.intervals.items():
            assert low <= model.metrics[metric] <= high
    low, high = summary.models["best"].intervals["EIR"]
    assert low < high
    with closing(open_database(site.config().database.url)) as database:
        assert database.metrics(mine.sha256, "plates_train_v1", "test") == mine.metrics
        assert database.metrics(champion.sha256, "plates_train_v1", "test") == champion.metrics


@pytest.mark.usefixtures("oracle")
def test_a_champion_that_is_lost_before_the_test_does_not_block_it(site):
    selected(site, site.model(60))
    chosen = selected(site, site.model(30))
    shutil.rmtree(site.folder / "bucket" / "evaluation")

    result = testing.run(site.config(), "code", chosen)

    assert [model.role for model in result.models] == ["candidate"]
    (note,) = result.notes
    assert "the champion of plates_train_v1 cannot be used" in note
    assert "is no longer in the result bucket" in note


@pytest.mark.usefixtures("oracle")
def test_every_model_has_its_own_drawn_images(site):
    promote.run(site.config("evaluate.select_by=[EIR]"), "code", site.trained(site.model(30)))
    promote.run(site.config("evaluate.select_by=[mask_AP]"), "code", site.trained(site.model(40)))
    chosen = selected(site, site.model(10))
    assert len({selection.sha256 for selection in chosen.selections}) == 2

    result = testing.run(site.config(), "code", chosen)

    assert [model.metric for model in result.models] == ["mask_AP, EIR", "mask_AP", "EIR"]
    summary = read_summary(local(result.files))
    assert list(summary.models) == ["best", "champion (mask_AP)", "champion (EIR)"]
    assert len({item.prediction for item in summary.drawn}) == 3 * result.images
    assert all(summary.file(item.prediction) and summary.file(item.truth) for item in summary.drawn)
    page = (local(result.files) / "report.html").read_text()
    assert "champion (EIR)" in page
    assert result.models[0].predictions != result.models[1].predictions


@pytest.mark.usefixtures("oracle")
def test_unlabelled_images_are_inferred_drawn_and_read(site, recorded):
    photos = sorted((recorded[0] / "photos").glob("*.jpg")) + sorted((recorded[0] / "photos").glob("*.png"))
    folder = site.folder / "unlabelled"
    (folder / "more").mkdir(parents=True)
    shutil.copy(photos[0], folder / f"one{photos[0].suffix}")
    shutil.copy(photos[1], folder / "more" / f"one{photos[1].suffix}")
    (folder / "notes.txt").write_text("no image")
    chosen = selected(site, site.model(100))

    result = testing.run(site.config(f"test.images={folder}"), "code", chosen)

    assert result.unlabelled_images == 2
    summary = read_summary(local(result.files))
    assert [Path(item.image).stem for item in summary.unlabelled] == ["one", "one"]
    assert len({item.prediction for item in summary.unlabelled}) == 2
    for item in summary.unlabelled:
        with Image.open(summary.file(item.prediction)) as drawing:
            assert drawing.size == (384, 288)  # small images are drawn twice as large
        assert item.texts
    images = json.loads(local(result.models[0].predictions).read_text())["images"]
    assert [image["labelled"] for image in images] == [True] * result.images + [False] * 2

    (folder / "more" / f"one{photos[1].suffix}").unlink()
    assert testing.run(site.config(f"test.images={folder}"), "code", chosen).unlabelled_images == 1


@pytest.mark.usefixtures("oracle")
def test_done_again_nothing_is_inferred(site, monkeypatch):
    chosen = selected(site, site.model(50))
    first = testing.run(site.config(), "code", chosen)
    monkeypatch.setattr(testing, "open_evaluator", None)

    assert testing.run(site.config(), "code", chosen) == first


@pytest.mark.usefixtures("oracle")
def test_images_that_cannot_be_used_are_named(site):
    chosen = selected(site, site.model(50))
    folder = site.folder / "unlabelled"
    folder.mkdir()
    with raises(ConfigurationError, "test.images"):
        testing.run(site.config(f"test.images={folder}"), "code", chosen)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    with raises(DataError, "test.images", "broken.jpg"):
        testing.run(site.config(f"test.images={folder}"), "code", chosen)
    assert not list((site.folder / "bucket").glob("results/test/*/*/result.json"))


@pytest.mark.usefixtures("oracle")
def test_a_model_of_other_classes_is_refused_with_both_lists(site):
    chosen = selected(site, site.model(50))
    other = site.model(50, classes=("car", "tree"), category_ids=(1, 2))
    file = {"uri": other.as_uri(), "sha256": file_sha256(other), "candidate_sha256": file_sha256(other)}
    stranger = replace(chosen.selections[0], **file)

    with raises(ModelFileError):
        testing.run(site.config(), "code", replace(chosen, selections=[stranger]))
    other = site.model(50, task="classification", architecture=Cnn(), seed=1)
    file = {"uri": other.as_uri(), "sha256": file_sha256(other), "candidate_sha256": file_sha256(other)}
    stranger = replace(stranger, **file)
    with raises(ModelFileError, "instance_segmentation"):
        testing.run(site.config(), "code", replace(chosen, selections=[stranger]))


@pytest.mark.usefixtures("oracle")
def test_a_model_that_was_replaced_in_the_bucket_is_refused(site):
    chosen = selected(site, site.model(50))
    local(chosen.selections[0].uri).write_bytes(site.model(60).read_bytes())
    shutil.rmtree(site.folder / "work" / "evaluate")

    with raises((ModelFileError, OSError)):
        testing.run(site.config(), "code", chosen)


def test_without_a_selection_evaluate_must_run_again(site):
    from sightline.registry.results import EvaluateResult

    with raises(StepError, "plates_train_v1"):
        testing.run(site.config(), "code", EvaluateResult("plates_train_v1", [], [], "", 0.0))


def test_a_real_network_is_tested_without_readings(site):
    chosen = selected(site, site.model(0), overrides=["reading=none", "evaluate.select_by=[mask_AP]"])

    result = testing.run(site.config("reading=none", "evaluate.select_by=[mask_AP]"), "code", chosen)

    assert "EIR" not in result.models[0].metrics
    assert "readings" not in site.summary(result.files)["models"]["best"]
