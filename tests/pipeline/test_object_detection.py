"""The whole pipeline for object detection, beside one for instance segmentation on the same data."""

import json

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from tests.shapes_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("detection") / "world", "object_detection")
    world.make_data()
    return world


@pytest.fixture(scope="module")
def run(world):
    return world.run()


def test_every_step_succeeds_and_everything_named_is_there(world, run):
    assert set(world.states(run).values()) == {"succeeded"}
    world.require_intact()


def test_nothing_it_leaves_speaks_of_masks(world, run):
    results = list(world.bucket.glob("results/**/*.json"))
    assert {"result.json", "summary.json", "predictions.json"} <= {path.name for path in results}
    for path in results:
        assert "mask" not in json.dumps(json.loads(path.read_text())).replace("configuration", ""), path
    page = (world.work / "runs" / run / "report" / "index.html").read_text()
    index = (world.work / "runs" / "index.html").read_text()
    assert "box_AP" in page
    assert "box_AP" in index
    for text in (page, index):
        assert "mask_" not in text
        assert "dv_mAP" not in text


def test_its_champion_is_its_own(world, run):
    assert (world.bucket / "champions/shapes/object_detection/box_AP.json").is_file()
    masks = World(world.folder)
    masks.run()
    assert (world.bucket / "champions/shapes/mask_AP.json").is_file()
    masks.require_intact()


def test_champions_are_named_with_their_task(world, run, monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "settings.yaml").write_text(f"storage: {{uri: '{world.bucket}'}}\n")
    monkeypatch.setenv("SIGHTLINE_HOME", str(home))
    image = str(world.folder / "shapes" / "0.png")
    for name in ("champion:shapes/object_detection/box_AP",):
        out = tmp_path / "predictions"
        result = CliRunner().invoke(cli, ["model", "predict", name, image, "--out", str(out), "--score", "0"])
        assert result.exit_code == 0, result.output
        assert (out / "0.png").is_file()
        document = json.loads((out / "0.json").read_text())
        assert all("mask" not in one for one in document["detections"])
    shown = CliRunner().invoke(cli, ["model", "show", "champion:shapes/object_detection/box_AP"])
    assert "object_detection" in shown.output
