"""The whole pipeline for keypoints, with both networks."""

import json
import re

import pytest

from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.models.model_file import read_card
from tests.arrows import CLASSES, DATA, KEYPOINTS, NETWORKS, write_labelme
from tests.shapes_world import World


class ArrowWorld(World):
    """Where arrows and their corners are found."""

    network = "keypoint_rcnn"

    def overrides(self, *more):
        own = [one for one in super().overrides() if not one.startswith(("model.", "data.classes"))]
        model = NETWORKS[self.network].model_dump(mode="json", exclude={"keypoints"})
        return [
            *own,
            f"data.classes={json.dumps(CLASSES)}",
            f"data.keypoints={json.dumps(DATA.keypoints.model_dump(mode='json'))}",
            f"model={json.dumps(model)}",
            *more,
        ]

    def make_data(self):
        init_repository(self.folder / "data", str(self.folder / "remote"))
        write_labelme(self.folder / "shapes", 12)
        add_annotations(self.folder / "data", self.folder / "shapes", DatasetTag.parse("shapes_ann_v1"))


class HeatmapWorld(ArrowWorld):
    network = "heatmap"


@pytest.fixture(scope="module", params=[ArrowWorld, HeatmapWorld], ids=list(NETWORKS))
def world(request, tmp_path_factory):
    world = request.param(tmp_path_factory.mktemp("keypoints") / "world", "keypoints")
    world.make_data()
    world.last = world.run()
    return world


def test_every_step_succeeds_and_everything_named_is_there(world):
    assert set(world.states(world.last).values()) == {"succeeded"}
    world.require_intact()
    assert (world.bucket / "champions/shapes/keypoints/keypoint_AP.json").is_file()


def test_the_model_file_names_the_keypoints(world):
    path = next(world.bucket.glob("results/**/*.safetensors"))
    assert read_card(path).architecture.keypoints == KEYPOINTS


def test_boxes_are_measured_only_where_the_network_finds_them(world):
    summary = json.loads(next(iter(world.bucket.glob("results/**/test/**/summary.json"))).read_text())
    (model,) = summary["models"].values()
    assert {"keypoint_AP", "keypoint_AP50", "keypoint_PCK"} <= set(model["metrics"])
    assert ("box_AP" in model["metrics"]) == (world.network == "keypoint_rcnn")
    assert [section["id"] for section in model["sections"]][:2] == ["keypoints", "classes"]


def test_the_pages_show_keypoints(world):
    page = (world.work / "runs" / world.last / "report" / "index.html").read_text()
    shown = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert "keypoint_AP" in shown
    assert "mask_" not in shown
    predictions = json.loads(next(iter(world.bucket.glob("results/**/predictions.json"))).read_text())
    assert set(predictions["images"][0]) == {"image", "labelled", "detections"}
