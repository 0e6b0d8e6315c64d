"""Exported classifiers give the probabilities of the model file, for images of any shape and number."""

import numpy as np
import pytest
import torch

from sightline.models.model_file import save_model
from sightline.prediction.exported import ExportedModel
from sightline.prediction.exporting import export_model
from sightline.tasks.base import load_predictor, load_task
from tests.classified import SEVERAL, draw, fitted, make_card, write_coco

THRESHOLDS = {"marks/bar": 0.25, "shape/disc": 0.75}


@pytest.fixture
def saved(tmp_path):
    def save(name, **changes):
        task = load_task("classification")
        model = fitted(task, name, write_coco(tmp_path / "images", 4, sets=SEVERAL), **changes)
        torch.manual_seed(0)
        network = task.build_network(model, 7)
        with torch.no_grad():
            network.head.weight.mul_(20)  # probabilities that differ from each other
        path = tmp_path / "m.safetensors"
        save_model(path, network, make_card(model, SEVERAL, thresholds=THRESHOLDS))
        return path

    return save


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet", "cnn"])
def test_onnx_gives_what_the_model_file_gives(saved, name, tmp_path):
    size = 72 if name == "cnn" else 64  # one size that is no multiple of 32
    path = saved(name, image_size=size)
    exported = export_model(path, tmp_path / "m.onnx", "onnx")
    assert exported.parity.holds
    assert "1 image;" in exported.parity.line()
    assert exported.header.canvas == ((96, 96) if name == "cnn" else (64, 64))
    images = [draw(index, shape)[0] for index, shape in enumerate([(80, 60), (60, 90), (64, 64), (300, 40)])]
    expected = load_predictor(path, "cpu").predict_batch(images, [1, 2, 3, 4])
    found = ExportedModel.load(tmp_path / "m.onnx").predict_batch(images, [1, 2, 3, 4])
    for one, other in zip(expected, found, strict=True):
        assert one.chosen() == other.chosen()
        for mine, theirs in zip(one.label_sets, other.label_sets, strict=True):
            assert mine.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)
            assert np.array_equal(mine.thresholds, theirs.thresholds, equal_nan=True)
            assert mine.category_ids.tolist() == theirs.category_ids.tolist()
