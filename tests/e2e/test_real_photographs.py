"""Real photographs, labelled with labelme itself, from check to page; a few steps, for there is too little data."""

import json
import re
import shutil

import pytest

from tests.e2e.conftest import TINY, World
from tests.real_labelme import REAL_LABELME, needs_real_labelme

pytestmark = pytest.mark.slow


@needs_real_labelme
def test_from_labelme_check_to_the_page(tmp_path):
    world = World(tmp_path / "world")
    shutil.copytree(REAL_LABELME, world.photos, ignore=shutil.ignore_patterns("data_dataset_coco"))

    found = world.sightline("check", str(world.photos), expect=1)
    assert "15 files, 54 shapes -> 15 images, 47 instances" in found
    assert re.search(r"unsupported_shape +3 +data.faults.unsupported_shape=drop: 3 left out", found)
    assert re.search(r"outside_image +1 +data.faults.outside_image=clip: 1 cut", found)
    settings = re.findall(r"--set '([^']+)'", found)
    assert [setting.split("=")[0] for setting in settings] == ["data.classes", "data.ignored_labels"]

    world.publish("v1")
    options = [
        part
        for override in [*TINY, *settings, "model.weights=none", "train.iterations=3"]
        for part in ("--set", override)
    ]
    output = world.pipeline(
        "run", "--local", "--recipe", "instance_segmentation", *options, "--set", "data.tag=plates_ann_v1"
    )  # fmt: skip
    assert "too little data: 15 images" in output

    (run,) = world.runs()
    record = json.loads(world.journal(run["run_id"])["record"]["result"])
    assert sum(record["images"].values()) == 15
    assert sum(sum(counts.values()) for counts in record["instances"].values()) == 47 - 2  # __ignore__
    assert record["dropped"] == {"outside_image": 1, "unsupported_shape": 3}
    page = (world.home / "work/runs" / run["run_id"] / "report/index.html").read_text()
    assert "too little data: 15 images" in page
