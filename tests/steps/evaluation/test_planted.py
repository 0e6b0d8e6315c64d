"""What should stop a model is found by evaluate and named on its page: leaks, slowness, floors, weak evidence."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.data.formats.coco import read_coco
from sightline.database import CategoryCount, ImageRecord, ModelRecord, VersionRecord, open_database
from sightline.errors import ConfigurationError
from sightline.files import file_sha256
from sightline.steps import evaluate, promote


def page_of(result) -> str:
    """The text of the page, without tags."""
    page = (Path(result.files.removeprefix("file://")) / "report.html").read_text()
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", text)


def val_images(site):
    (path,) = (site.folder / "work" / "checkouts").glob("plates_train_v1*/training/plates/val.json")
    return read_coco(path)["images"]


def register(site, tag, images, start):
    """Another training set in the database, and a model that was trained on it."""
    dataset, _, version = tag.partition("_train_")
    with closing(open_database(site.config().database.url)) as database:
        database.register_version(
            VersionRecord(
                dataset=dataset, version=version, kind="train", tag=tag, commit="c" * 40, digest="d", parent_tag="",
                configuration_digest="",
            ),
            [ImageRecord("train", f"old/{n}.png", sha256, 1, 1, 1, group) for n, (sha256, group) in enumerate(images)],
            [CategoryCount("x", "train", 1, 1)],
        )  # fmt: skip
        database.register_model(ModelRecord(file_sha256(start), start.as_uri(), "instance_segmentation", tag, None, ""))


@pytest.mark.usefixtures("oracle")
def test_a_leak_by_the_initial_weights_is_named_and_never_promoted(site):
    evaluate.run(site.config(), "code", site.trained(site.model(10)))  # checks the training set out
    images = val_images(site)
    start = site.model(30, training_tag="old_train_v7")
    register(site, "old_train_v7", [(images[0]["sha256"], "x"), ("f" * 64, images[1]["group"])], start)
    leaked = site.model(100, weights=start.as_uri(), weights_sha256=file_sha256(start))

    result = promote.run(site.config(), "code", site.trained(leaked))

    report = result.models[0].leaks
    assert report.trained_on == ["plates_train_v1", "old_train_v7"]
    assert [(leak.split, leak.same_file, leak.count) for leak in report.leaks][:2] == [
        ("val", True, 1),
        ("val", False, 1),
    ]
    for selection in result.selections:
        assert not selection.promoted
        assert "old_train_v7" in selection.reason
        assert [check.name for check in selection.gate.checks if not check.passed] == ["leak"]
    page = page_of(result)
    assert f"1 val image also in the train split of old_train_v7: {images[0]['file_name']}" in page
    assert "1 val image in the same groups as images of the train split of old_train_v7" in page
    assert site.champion("mask_AP") is None


@pytest.mark.usefixtures("oracle")
def test_a_slow_large_or_weak_model_is_stopped_and_the_page_says_why(site):
    limits = [
        "evaluate.gate.max_latency_ms=0.0001",
        "evaluate.gate.max_size_mb=0.0001",
        "evaluate.gate.floors={EIR: 0.99}",
    ]
    result = promote.run(site.config(*limits), "code", site.trained(site.model(60)))

    (first, *_), page = result.selections, page_of(result)
    assert not first.promoted
    assert [check.name for check in first.gate.checks if not check.passed] == ["floor", "latency", "size"]
    for text in ("EIR", "required 0.99", "ms at batch size 1 (p95), at most 0.0001", "MB model file, at most 0.0001"):
        assert text in page
    assert result.models[0].profile.latency_p95_ms > 0.0001


@pytest.mark.usefixtures("oracle")
def test_a_gain_on_a_few_images_is_not_enough_by_default(site):
    config = site.config("evaluate.gate.confidence=0.95")
    promote.run(config, "code", site.trained(site.model(40)))
    result = promote.run(config, "code", site.trained(site.model(60)))

    selection = result.selections[0]
    assert selection.candidate_value > selection.previous_value
    assert not selection.promoted
    assert selection.gate.difference == pytest.approx(selection.candidate_value - selection.previous_value)
    assert selection.gate.low <= selection.gate.difference <= selection.gate.high
    assert selection.gate.probability < selection.gate.required == pytest.approx(0.95)
    assert selection.gate.groups <= selection.gate.images == 5
    assert "probability of being better" in page_of(result)


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("evaluate.gate.floors={EIRR: 0.5}", "EIRR"),
        ("evaluate.gate.class_margin={q: 0.5}", "q"),
        ("evaluate.gate.slice_margin={'brightness: darkk': 0.5}", "brightness: darkk"),
        ("evaluate.gate.confidence=0.9999", "9999"),
    ],
)
def test_a_gate_with_an_unknown_name_is_an_error_that_lists_the_known_ones(site, setting, name):
    with pytest.raises(ConfigurationError) as raised:
        evaluate.run(site.config(setting), "code", site.trained(site.model(60)))
    assert name in str(raised.value)
    assert setting.partition("=")[0] in str(raised.value)
    assert not list((site.folder / "work").glob("evaluate/*/detections-*.json"))  # before anything is measured


@pytest.mark.usefixtures("oracle")
def test_a_model_that_measures_otherwise_than_in_training_is_named(site):
    train = site.trained(site.model(60))
    train.candidates[0].metrics.update(mask_AP=0.123)
    result = evaluate.run(site.config(), "code", train)
    assert "instead of 0.1230" in result.models[0].parity
    assert "instead of 0.1230" in page_of(result)


@pytest.mark.usefixtures("oracle")
def test_a_model_that_predicts_otherwise_than_before_it_was_saved_is_named(site):
    train = site.trained(site.model(100))
    evaluate.run(site.config(), "code", train)
    (kept,) = (site.folder / "work" / "evaluate").glob("*/detections-*.json")
    reference = site.folder / "best.predictions.json"
    moved = json.loads(kept.read_text())
    moved["images"][0]["boxes_xyxy"][0][0] -= 1
    for text, verdict in ((kept.read_text(), "the same predictions as"), (json.dumps(moved), "other predictions than")):
        reference.write_text(text)
        train.candidates[0] = replace(train.candidates[0], predictions=reference.as_uri())
        found = evaluate.run(site.config(), f"code of {verdict}", train)
        assert found.models[0].parity.startswith(f"{verdict} before it was saved")
        assert f"{verdict} before it was saved" in page_of(found)
    for damage in (lambda: reference.write_bytes(b"\xff{"), reference.unlink):
        damage()
        assert evaluate.run(site.config(), f"code of {damage}", train).models[0].parity == ""
