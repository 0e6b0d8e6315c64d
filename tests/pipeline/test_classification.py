"""The whole pipeline for classification, with one label set and with several."""

import json
import re

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from tests.classified import ONE_SET, SEVERAL, TINY_TRAIN, write_labelme
from tests.shapes_world import World


class ClassifiedWorld(World):
    """Where classifiers are trained."""

    sets = ONE_SET

    def overrides(self, *more):
        own = [one for one in super().overrides() if not one.startswith(("model.", "train.", "data.classes"))]
        values = TINY_TRAIN.model_dump(mode="json", exclude={"best_metric"})
        sets = {
            name: {"classes": list(classes), "multiple": multiple} for name, (classes, multiple) in self.sets.items()
        }
        labels = f"data.label_sets={json.dumps(sets)}"
        if self.sets == ONE_SET:
            labels = f"data.classes={json.dumps(sets['class']['classes'])}"
        return [
            *own,
            labels,
            "model={network: cnn, image_size: 64, width: 8, stages: 2}",
            *(f"train.{name}={json.dumps(value)}" for name, value in values.items()),
            *more,
        ]

    def make_data(self):
        init_repository(self.folder / "data", str(self.folder / "remote"))
        write_labelme(self.folder / "shapes", 16, self.sets)
        add_annotations(self.folder / "data", self.folder / "shapes", DatasetTag.parse("shapes_ann_v1"))


class SeveralSets(ClassifiedWorld):
    sets = SEVERAL


@pytest.fixture(scope="module", params=[ClassifiedWorld, SeveralSets], ids=["one set", "several sets"])
def world(request, tmp_path_factory):
    world = request.param(tmp_path_factory.mktemp("classification") / "world", "classification")
    world.make_data()
    world.last = world.run()
    return world


def test_every_step_succeeds_and_everything_named_is_there(world):
    assert set(world.states(world.last).values()) == {"succeeded"}
    world.require_intact()
    assert (world.bucket / "champions/shapes/classification/accuracy.json").is_file()


def test_nothing_it_leaves_speaks_of_objects(world):
    results = list(world.bucket.glob("results/**/*.json"))
    assert {"result.json", "summary.json", "predictions.json"} <= {path.name for path in results}
    page = (world.work / "runs" / world.last / "report" / "index.html").read_text()
    index = (world.work / "runs" / "index.html").read_text()
    for text in (page, index):
        shown = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
        assert "accuracy" in shown
        assert re.findall(r".{60}(?:box_AP|mask_AP|EIR|IoU|detection|instances).{60}", shown) == []
    predictions = json.loads(next(path for path in results if path.name == "predictions.json").read_text())
    assert set(predictions["images"][0]) == {"image", "labelled", "classes", "probabilities"}


def test_two_runs_are_compared_on_the_same_images(world, tmp_path, monkeypatch):
    places = {"data": {"repository": str(world.folder / "data")}, "work": {"dir": str(world.work)}}
    (tmp_path / "settings.yaml").write_text(json.dumps(places))
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(tmp_path / "settings.yaml"))
    page, url = tmp_path / "page.html", f"sqlite:///{world.folder}/sightline.sqlite"
    arguments = ["runs", "compare", world.last, world.last, "--html", str(page), "--url", url]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "could not be run" not in result.output
    assert "Both models have the same accuracy" in page.read_text()
    assert "Both runs have the same configuration" in page.read_text()


def test_every_image_has_a_class_of_a_label_set_however_improbable(world):
    """The drawn classes are those that were measured; a score threshold would leave some out."""
    found = next(path for path in world.bucket.glob("results/**/predictions.json"))
    for image in json.loads(found.read_text())["images"]:
        for name, chosen in image["classes"].items():
            assert world.sets[name][1] or len(chosen) == 1
    page = (world.work / "runs" / world.last / "report" / "index.html").read_text()
    assert "score \N{GREATER-THAN OR EQUAL TO}" not in page
