"""``sightline model compare`` on models that find what their card says: 40 and 100 percent of the images."""

import csv
import json

import pytest
import yaml
from click.testing import CliRunner

from sightline.cli.model import command
from sightline.errors import DataError, ModelFileError
from sightline.evaluation.model_comparison import compare_models
from sightline.tasks.object_detection.settings import BoxDetector
from tests.golden import raises


@pytest.fixture
def invoke(site, oracle, monkeypatch):
    settings = site.folder / "settings.yaml"
    places = {"data": {"repository": str(site.data)}, "work": {"dir": str(site.folder / "work")}}
    settings.write_text(yaml.safe_dump(places))
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(settings))

    def run(*arguments):
        given = [str(one) for one in (*arguments, "--device", "cpu")]
        return CliRunner().invoke(command, ["compare", *given], catch_exceptions=False)

    return run


def mistaken(document, model):
    return {entry["image"] for entry in document["different"] if entry[model]["mistakes"]}


def test_the_better_model_is_named_with_the_images_that_show_it(site, invoke, tmp_path):
    bad, good = site.model(40), site.model(100, seed=1)
    files = tmp_path / "page.html", tmp_path / "numbers.csv"
    plain = invoke(bad, good, "--tag", "plates_train_v1", "--html", files[0], "--csv", files[1]).output
    assert "B is better" in plain
    document = json.loads(invoke(bad, good, "--tag", "plates_train_v1", "--json").output)
    metrics = {one["name"]: one for one in document["metrics"]}
    assert metrics["mask_AP"]["b"] == pytest.approx(1.0)
    assert metrics["mask_AP"]["difference"] == pytest.approx(1 - metrics["mask_AP"]["a"])
    counts = document["without_mistakes"]
    assert counts["only_a"] == counts["neither"] == 0
    assert counts["only_b"] == len(mistaken(document, "a")) > 0
    assert counts["only_b"] + counts["both"] == document["images"]
    assert mistaken(document, "b") == set()
    page = files[0].read_text()
    assert all(image in page for image in mistaken(document, "a"))
    assert page.count("<img") == 3 * min(12, counts["only_b"])
    rows = list(csv.DictReader(files[1].read_text().splitlines()))
    assert {row["metric"] for row in rows if row["kind"] == "metric"} == metrics.keys()
    assert float(next(row for row in rows if row["metric"] == "EIR")["b"]) == 1.0


def test_a_file_of_the_user_is_not_replaced(site, invoke, tmp_path):
    model, table = site.model(40), tmp_path / "labels.csv"
    table.write_text("image,label\n")
    before = {path: path.read_bytes() for path in (model, table)}
    page = model.rename(model.with_suffix(".html"))
    for option, path in (("--html", page), ("--csv", table)):
        with pytest.raises(DataError) as raised:
            invoke(page, page, "--tag", "plates_train_v1", option, path)
        assert str(path) in str(raised.value)
    assert [page.read_bytes(), table.read_bytes()] == list(before.values())


def test_the_same_model_twice_shows_no_difference(site, invoke):
    model = site.model(40)
    document = json.loads(invoke(model, model, "--tag", "plates_train_v1", "--split", "val", "--json").output)
    assert {one["difference"] for one in document["metrics"]} == {0.0}
    assert document["different"] == []
    assert "same mask_AP" in invoke(model, model, "--tag", "plates_train_v1").output


def test_models_of_other_classes_are_compared_on_those_that_both_know(site, invoke):
    config = site.config()
    fewer = tuple(config.data.classes[:5])
    small = site.model(100, classes=fewer, category_ids=tuple(range(11, 16)), reading="none")
    document = json.loads(invoke(small, site.model(100, seed=1), "--tag", "plates_train_v1", "--json").output)
    assert "l_board" in document["notes"][0]
    metrics = {one["name"]: one for one in document["metrics"]}
    assert metrics["mask_AP"]["a"] == metrics["mask_AP"]["b"] == pytest.approx(1.0)
    assert "EIR" not in metrics


def test_models_are_compared_without_a_reader_that_is_not_installed(site, invoke):
    models = [site.model(quality, reading="gone:Reader") for quality in (40, 100)]
    document = json.loads(invoke(*models, "--tag", "plates_train_v1", "--json").stdout)
    names = {one["name"] for one in document["metrics"]}
    assert "mask_AP" in names
    assert "EIR" not in names


def test_what_cannot_be_compared_is_an_error(site, invoke):
    model = site.model(40)
    other = site.model(41, classes=("cat",), category_ids=(1,), reading="none")
    with raises(ModelFileError, "no class in common", "cat"):
        invoke(model, other, "--tag", "plates_train_v1")
    network = BoxDetector(**site.config().model.model_dump(include=set(BoxDetector.model_fields)))
    boxes = site.model(42, task="object_detection", architecture=network)
    with raises(ModelFileError, "object_detection", "instance_segmentation"):
        invoke(model, boxes, "--tag", "plates_train_v1")
    empty = {"images": [], "annotations": [], "categories": []}
    with raises(DataError, "the val split of plates_train_v1"):
        compare_models(
            (("a", model), ("b", model)), "plates_train_v1", "val", empty, site.folder, score=0.5, max_pixels=9
        )
    with raises(DataError, "plates_ann_v1"):
        invoke(model, model, "--tag", "plates_ann_v1")
