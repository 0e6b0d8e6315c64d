"""Latency, batch, memory, size and operations of models whose numbers are known."""

import time

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sightline.evaluation import profile
from sightline.evaluation.profile import profile_model

IMAGES = [Image.fromarray(np.zeros((8, 8, 3), np.uint8))] * 6


class Waiting:
    """Needs some time for each image, and some for each batch; computes one matrix product an image."""

    def __init__(self, each=0.01, batch=0.0, matrix=50, memory=0):
        self.each, self.batch, self.matrix, self.memory = each, batch, matrix, memory
        self.calls = []

    def predict_batch(self, images, image_ids):
        self.calls.append((len(images), list(image_ids)))
        held = np.ones(self.memory, np.uint8)
        for _ in images:
            torch.ones(self.matrix, self.matrix) @ torch.ones(self.matrix, self.matrix)
        time.sleep(self.batch + self.each * len(images) + 0 * len(held))
        return [None] * len(images)


@pytest.fixture
def path(tmp_path):
    save_file({"a": torch.zeros(10, 25), "b": torch.zeros(50)}, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_the_numbers_of_a_known_model(path):
    model = Waiting(each=0.001, batch=0.05)
    found = profile_model(model, path, IMAGES, [7] * 6, "my processor")

    assert found.device == "my processor"
    assert found.timed == 6
    assert 50 < found.latency_p50_ms <= found.latency_p95_ms
    assert found.best_batch > 1  # the time of a batch is shared by its images
    assert found.images_per_second > 1000 / found.latency_p50_ms
    assert found.parameters == 300
    assert found.size_mb == pytest.approx(path.stat().st_size / 1e6)
    assert found.gflops == pytest.approx(2 * 50**3 / 1e9)
    assert {id_ for _, ids in model.calls for id_ in ids} == {7}


def test_a_model_without_counted_operations_has_none(path):
    assert profile_model(Waiting(each=0.001, matrix=0), path, IMAGES, [0] * 6, "").gflops is None


def test_a_slow_model_is_timed_on_a_few_images(path, monkeypatch):
    monkeypatch.setattr(profile, "LATENCY_SECONDS", 0.05)
    monkeypatch.setattr(profile, "BATCH_SECONDS", 0.02)
    model = Waiting(each=0.04)
    found = profile_model(model, path, IMAGES, [0] * 6, "")
    assert found.timed == 3
    assert found.best_batch == 1


def test_peak_memory_is_that_during_prediction(path):
    before = psutil.Process().memory_info().rss / 2**30
    found = profile_model(Waiting(each=0.01, memory=400 * 2**20), path, IMAGES, [0] * 6, "")
    assert found.memory_gb > before + 0.2


def test_a_split_without_images_has_no_profile(path):
    assert profile_model(Waiting(), path, [], [], "") is None
