"""Images that look alike are not independent: intervals and the gate draw them together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.demo.plates.draw import draw_dataset
from sightline.evaluation.inference import training_set_on_disk
from sightline.steps import promote, record
from tests.steps.evaluation.conftest import Site, known_truth, take_over


def add_twins(photos: Path) -> None:
    """Of each image a second one that is hardly brighter, with the same labels."""
    for path in sorted(photos.rglob("*.json")):
        document = json.loads(path.read_text())
        picture = path.parent / document["imagePath"]
        twin = picture.with_stem(f"{picture.stem}_twin")
        Image.open(picture).point(lambda value: min(value + 2, 255)).save(twin, quality=95)
        twin.with_suffix(".json").write_text(json.dumps({**document, "imagePath": twin.name}))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Ten scenes of two images each."""
    init_repository(tmp_path / "data", str(tmp_path / "remote"))
    draw_dataset(tmp_path / "photos", images=10, seed=3, difficulty="easy", size=(192, 144))
    add_twins(tmp_path / "photos")
    add_annotations(tmp_path / "data", tmp_path / "photos", DatasetTag("plates", "ann", "v1"))
    site = Site(tmp_path, tmp_path / "data", {})
    site.commits["v1"] = record.run(site.config("data.tag=plates_ann_v1"), "code").training_commit
    with training_set_on_disk(site.config(), "plates_train_v1", site.commits["v1"]):
        take_over(monkeypatch, known_truth(tmp_path))
    yield site
    for large in ("models", "bucket", "work"):
        shutil.rmtree(tmp_path / large, ignore_errors=True)


def test_twins_are_one_group_of_the_gate(site):
    config = site.config("evaluate.gate.confidence=0.95")
    promote.run(config, "code", site.trained(site.model(20)))
    gate = promote.run(config, "code", site.trained(site.model(80))).selections[0].gate

    assert gate.images == 6
    assert gate.groups == 3
