"""A recorded training set of drawn plates, model files with random weights, and a predictor that knows the truth.

How much of the truth a model finds stands in its card as ``iteration``, in percent of the images: so models can be
made good and bad without training them.  Loading, refusing and hashing model files is the real thing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from sightline.config.decode import decode
from sightline.config.schema import Config
from sightline.data.detections import Detections
from sightline.data.images import read_image
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.demo.plates.draw import draw_dataset
from sightline.files import file_sha256
from sightline.models.model_file import ModelCard, save_model
from sightline.models.preprocessing import Preprocessing
from sightline.registry.results import Candidate, TrainResult
from sightline.steps import record
from sightline.tasks.base import Predictor
from sightline.tasks.detection.predictor import DetectionPredictor
from sightline.tasks.instance_segmentation.network import build_detector
from sightline.tasks.instance_segmentation.settings import MaskDetector

TINY = [
    "model.backbone=timm:test_resnet",
    "model.image_size=64",
    "model.fpn_channels=16",
    "model.head_channels=16",
    "model.mask_channels=16",
    "model.anchor_sizes=[6, 12, 24, 48]",
    "train.device=cpu",
    "data.splits={train: 0.4, val: 0.3, test: 0.3}",
    "evaluate.drawn_images=2",
    "evaluate.gate.confidence=0",  # five images prove nothing; tests of the gate set it
]
VERSIONS = {"v1": 16, "v2": 20}


@dataclass
class Site:
    """A data repository with recorded training sets, and everything a run needs beside it."""

    folder: Path
    data: Path
    commits: dict[str, str]
    settings: list[str] = field(default_factory=list)

    def config(self, *overrides: str) -> Config:
        places = [
            f"data.repository={self.data}",
            f"storage.uri={self.folder / 'bucket'}",
            f"database.url=sqlite:///{self.folder / 'sightline.sqlite'}",
            f"work.dir={self.folder / 'work'}",
        ]
        return decode("plates", [*TINY, *places, *self.settings, *overrides])

    def model(self, quality: int, *, seed: int = 0, version: str = "v1", **card: object) -> Path:
        """A model file that finds everything in ``quality`` percent of the images."""
        path = self.folder / "models" / f"{version}-{quality}-{seed}-{len(card)}.safetensors"
        path.parent.mkdir(exist_ok=True)
        config = self.config()
        torch.manual_seed(seed)
        plain = ModelCard(
            task="instance_segmentation",
            architecture=config.model,
            classes=config.data.classes,
            category_ids=tuple(range(1, len(config.data.classes) + 1)),
            preprocessing=Preprocessing(image_size=config.model.image_size),
            reading="plates",
            configuration={},
            training_tag=f"plates_train_{version}",
            training_commit=self.commits[version],
            dataset_digest="",
            code_rev="code",
            iteration=quality,
            metrics={},
        )
        made = replace(plain, **card)
        known = isinstance(made.architecture, MaskDetector)  # of another task it is whatever it is
        save_model(path, build_detector(made.architecture if known else config.model, len(made.classes)), made)
        return path

    def trained(self, *models: Path, version: str = "v1") -> TrainResult:
        names = ["best", "last", "third"]
        return TrainResult(
            training_tag=f"plates_train_{version}",
            training_commit=self.commits[version],
            candidates=[
                Candidate(name, path.as_uri(), file_sha256(path), 1, {})
                for name, path in zip(names, models, strict=False)
            ],
            iterations=1,
            history="",
            log="",
            seconds=1.0,
        )

    def champion(self, metric: str) -> dict | None:
        path = self.folder / "bucket" / "champions" / "plates" / f"{metric}.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def sections(self, files: str, model: str = "best") -> dict:
        """What the measurement of a model brings to a page, by the id of the section."""
        return {section["id"]: section for section in self.summary(files)["models"][model]["sections"]}

    def summary(self, files: str) -> dict:
        return json.loads((Path(files.removeprefix("file://")) / "summary.json").read_text())


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """The data repository with ``plates_train_v1`` and, four images more, ``plates_train_v2``."""
    folder = tmp_path_factory.mktemp("recorded")
    init_repository(folder / "data", str(folder / "remote"))
    commits = {}
    for version, images in VERSIONS.items():
        draw_dataset(folder / "photos", images=images, seed=3, difficulty="easy", size=(192, 144))
        add_annotations(folder / "data", folder / "photos", DatasetTag("plates", "ann", version))
        site = Site(folder, folder / "data", {})
        commits[version] = record.run(site.config(f"data.tag=plates_ann_{version}"), "code").training_commit
    return folder, commits


def make_site(folder: Path, recorded: tuple[Path, dict[str, str]]) -> Site:
    """An empty bucket, database and work volume; the checkouts are shared."""
    shared, commits = recorded
    (folder / "work").mkdir()
    for name in ("checkouts", "dvc-cache"):
        (folder / "work" / name).symlink_to(shared / "work" / name)
    return Site(folder, shared / "data", commits)


@pytest.fixture
def site(tmp_path, recorded):
    yield make_site(tmp_path, recorded)
    for large in ("models", "bucket", "work/evaluate", "work/test"):  # a model file each
        shutil.rmtree(tmp_path / large, ignore_errors=True)


def fingerprint(image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def known_truth(folder: Path) -> dict[str, list[dict]]:
    """Fingerprint of each image of both versions -> its annotations."""
    truth: dict[str, list[dict]] = {}
    for checkout in sorted((folder / "work" / "checkouts").glob("plates_train_*")):
        for path in sorted((checkout / "training" / "plates").glob("[tv]*.json")):
            document = json.loads(path.read_text())
            for image in document["images"]:
                names = {category["id"]: category["name"] for category in document["categories"]}
                of_image = [
                    {**entry, "name": names[entry["category_id"]]}
                    for entry in document["annotations"]
                    if entry["image_id"] == image["id"]
                ]
                truth[fingerprint(read_image(checkout / image["file_name"], 10**6))] = of_image
    return truth


def teach(truth: dict[str, list[dict]]):
    """A ``predict`` that finds everything in the first ``card.iteration`` percent of the images, and nothing else.

    It knows the classes of the card alone, and answers with the card's category ids.
    """
    order = {name: index for index, name in enumerate(sorted(truth))}

    def predict(self, image, image_id=0):
        name = fingerprint(image)
        known = truth.get(name, []) if order.get(name, 0) < len(order) * self.card.iteration / 100 else []
        ids = dict(zip(self.card.classes, self.card.category_ids, strict=True))
        known = [entry for entry in known if entry["name"] in ids]
        boxes = np.array([entry["bbox"] for entry in known], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        masks = []
        for entry in known:
            encoded = coco_mask.merge(coco_mask.frPyObjects(entry["segmentation"], image.height, image.width))
            masks.append({"size": [image.height, image.width], "counts": encoded["counts"].decode()})
        categories = np.array([ids[entry["name"]] for entry in known], np.int64)
        return Detections(image_id, boxes, np.full(len(known), 0.9, np.float32), categories, masks)

    return predict


def take_over(patch, truth):
    """Let ``teach`` predict, image by image."""
    patch.setattr(DetectionPredictor, "predict", teach(truth))
    patch.setattr(DetectionPredictor, "predict_batch", Predictor.predict_batch)


@pytest.fixture(scope="session")
def truth(recorded):
    """Fingerprint of each image -> its annotations; the checkouts that it reads are those of all sites."""
    from sightline.evaluation.inference import training_set_on_disk

    folder, commits = recorded
    config = Site(folder, folder / "data", commits).config()
    for version, commit in commits.items():
        with training_set_on_disk(config, f"plates_train_{version}", commit):
            pass
    return known_truth(folder)


@pytest.fixture
def oracle(monkeypatch, truth):
    """Let models find what their card says."""
    take_over(monkeypatch, truth)
