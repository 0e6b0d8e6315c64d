"""Images are predicted in batches; nobody can tell from the predictions, except that they come sooner."""

import logging
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.errors import DataError, StepError
from sightline.tasks import batch_inference
from sightline.tasks.base import Predictor, load_task
from sightline.tasks.batch_inference import predict_images
from sightline.tasks.object_detection.settings import BoxDetector
from tests.golden import raises
from tests.squares import TINY_MODEL, draw, make_card

SIZES = [(80, 60), (60, 80), (80, 60), (40, 30), (60, 60), (80, 60), (60, 80)]
"""Four of them have the same size at the input of the network, 64 x 48."""


class Answer(Predictor):
    """Answers with the size and color of an image; keeps what it was asked for at once."""

    def __init__(self, batch_size=1, most=100):
        self.card = SimpleNamespace(preprocessing=SimpleNamespace(image_size=64))
        self.batch_size, self.most, self.batches = batch_size, most, []

    def predict(self, image, image_id=0, *, max_pixels=10**6):
        return image_id, image.size, image.getpixel((0, 0))

    def predict_batch(self, images, image_ids):
        self.batches.append([image.size for image in images])
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.\nmore lines")
        return super().predict_batch(images, image_ids)


@pytest.fixture
def folder(tmp_path):
    """Images of several sizes, and their entries in a COCO document."""
    listed = []
    for number, size in enumerate(SIZES):
        Image.new("RGB", size, (number, 0, 0)).save(tmp_path / f"{number}.png")
        entry = {"id": 10 + number, "file_name": f"{number}.png", "width": size[0], "height": size[1]}
        listed.append(entry | {"sha256": "", "group": ""})
    return tmp_path, listed


def predicted(folder, predictor):
    return predict_images(predictor, folder[1], folder[0], max_pixels=10**6, description="infer images")


EXPECTED = [(10 + number, size, (number, 0, 0)) for number, size in enumerate(SIZES)]


@pytest.mark.parametrize(
    ("batch_size", "lengths"),
    [
        (1, [1] * 7),  # a CPU, or a task's own predictor
        (2, [1, 2, 2, 2]),  # one square, two upright, four lying
        (3, [1, 2, 1, 3]),
        (8, [1, 2, 4]),
    ],
)
def test_batches_have_images_of_one_input_size(folder, batch_size, lengths):
    predictor = Answer(batch_size)
    assert predicted(folder, predictor) == EXPECTED
    assert sorted(map(len, predictor.batches)) == sorted(lengths)
    for batch in predictor.batches:
        assert len({round(width / height, 3) for width, height in batch}) == 1


@pytest.mark.parametrize(
    ("most", "lengths", "halved"),
    [
        (3, [2, 4, 2, 2, 1], [(4, 2)]),
        (2, [2, 4, 2, 2, 1], [(4, 2)]),
        (1, [2, *[1] * 7], [(2, 1)]),  # no larger batch is tried afterwards
    ],
)
def test_batches_are_halved_when_memory_does_not_suffice(folder, most, lengths, halved, caplog):
    caplog.set_level(logging.WARNING, "sightline")
    predictor = Answer(8, most)
    assert predicted(folder, predictor) == EXPECTED
    assert list(map(len, predictor.batches)) == lengths
    assert [record.args for record in caplog.records] == halved


def test_a_single_image_that_does_not_fit_is_an_error(folder):
    with raises(StepError, "image 11", "model.image_size"):
        predicted(folder, Answer(8, 0))


def test_no_image_at_all(tmp_path):
    assert predicted((tmp_path, []), Answer(8)) == []


def test_an_image_that_cannot_be_read_is_named(folder):
    (folder[0] / "3.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"3\.png"):
        predicted(folder, Answer(2))


def test_images_are_read_ahead_but_not_all_of_them(tmp_path, monkeypatch):
    """While a batch is predicted, the next is read by other threads; no image beyond it."""
    listed = [{"id": number, "file_name": f"{number}.png", "width": 8, "height": 8} for number in range(40)]
    begun, readers, most = [], set(), []

    def read(root, image, max_pixels):
        begun.append(image["id"])
        readers.add(threading.get_ident())
        return Image.new("RGB", (8, 8))

    class Counting(Answer):
        used = 0

        def predict_batch(self, images, image_ids):
            self.used += len(images)
            most.append(len(begun) - self.used)
            return super().predict_batch(images, image_ids)

    monkeypatch.setattr(batch_inference, "read_listed_image", read)
    assert len(predicted((tmp_path, listed), Counting(4))) == 40
    assert sorted(begun) == list(range(40))
    assert max(most) <= 4
    assert threading.get_ident() not in readers


BOXES = BoxDetector(**TINY_MODEL.model_dump(include=set(BoxDetector.model_fields)))
SINGLE_STAGE = [
    BOXES.model_copy(update={"detector": name, "fpn_channels": 32, "score_threshold": 1e-4})
    for name in ("fcos", "retinanet", "ssdlite")
]


@pytest.mark.parametrize(
    ("name", "model"),
    [("instance_segmentation", TINY_MODEL), ("object_detection", BOXES)]
    + [("object_detection", model) for model in SINGLE_STAGE],
)
def test_a_network_gives_the_same_in_batches_and_alone(name, model):
    torch.manual_seed(0)
    task = load_task(name)
    predictor = task.predictor(task.build_network(model, 2), make_card(), torch.device("cpu"))
    images = [draw(number, size)[0] for number, size in enumerate(SIZES)]
    together = predictor.predict_batch(images, range(7))
    alone = [predictor.predict(image, number) for number, image in enumerate(images)]
    assert [found.image_id for found in together] == list(range(7))
    assert sum(map(len, alone)) > 50
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        assert one.category_ids.tolist() == other.category_ids.tolist()
        assert (one.masks is None) == (name == "object_detection")
