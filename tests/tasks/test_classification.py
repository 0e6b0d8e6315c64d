"""Classification: networks predict alone what they predict together, and come back from their files."""

import math

import numpy as np
import pytest
import torch

from sightline.models.model_file import read_card, save_model
from sightline.tasks.base import load_predictor, load_task
from sightline.tasks.classification.prediction import Classification
from tests.classified import NETWORKS, ONE_SET, SEVERAL, class_names, draw, fitted, make_card, make_dataset, write_coco

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def task():
    return load_task("classification")


def build(task, network, document, sets=SEVERAL, **changes):
    model = fitted(task, network, document, **changes)
    torch.manual_seed(0)
    return task.build_network(model, len(class_names(sets))), make_card(model, sets)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_prediction_of_an_image_does_not_depend_on_the_others(task, name, tmp_path):
    document = write_coco(tmp_path, 4, sets=SEVERAL)
    network, card = build(task, name, document)
    predictor = task.predictor(network, card, CPU)
    images = [draw(index, size)[0] for index, size in enumerate([(80, 60), (60, 90), (64, 64), (300, 40)])]
    together = predictor.predict_batch(images, [1, 2, 3, 4])
    for number, image in enumerate(images, start=1):
        alone = predictor.predict(image, number)
        for one, other in zip(alone.label_sets, together[number - 1].label_sets, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
            assert one.multiple or one.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_model_file_holds_label_sets_and_thresholds(task, tmp_path):
    document = write_coco(tmp_path, 8, sets=SEVERAL)
    network, card = build(task, "cnn", document)
    card = make_card(card.architecture, SEVERAL, thresholds={"marks/bar": 0.25, "shape/disc": 0.75})
    save_model(tmp_path / "m.safetensors", network, card)
    read = read_card(tmp_path / "m.safetensors")
    assert read == card
    assert [(one.name, one.classes, one.multiple) for one in read.architecture.label_sets] == [
        (name, tuple(classes), multiple) for name, (classes, multiple) in SEVERAL.items()
    ]
    found = load_predictor(tmp_path / "m.safetensors", "cpu").predict(draw(0)[0], 1)
    expected = task.predictor(network, card, CPU).predict(draw(0)[0], 1)
    assert found.to_json() == expected.to_json()
    thresholds = [one.thresholds.tolist() for one in found.label_sets]
    assert thresholds[0][1] == 0.75
    assert math.isnan(thresholds[0][0])
    assert thresholds[2][0] == 0.25
    assert Classification.from_json(found.above(0.3).to_json()).to_json() == found.above(0.3).to_json()


def test_the_single_label_set_is_the_ordinary_case(task, tmp_path):
    document = write_coco(tmp_path, 6)
    network, _ = build(task, "cnn", document, ONE_SET)
    assert [one.name for one in network.label_sets] == ["class"]
    assert network.label_sets[0].classes == tuple(ONE_SET["class"][0])


def test_training_and_prediction_see_the_same_pixels(task, tmp_path):
    dataset, document = make_dataset(tmp_path, 3)
    network, card = build(task, "cnn", document, ONE_SET)
    seen = []
    network.backbone["body"].register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    task.losses(network.eval(), [dataset.sample(index, 1) for index in range(3)], CPU)
    task.predictor(network, card, CPU).predict_batch([draw(index)[0] for index in range(3)], [1, 2, 3])
    assert torch.equal(*seen)
    assert seen[0].shape == (3, 3, 64, 64)
    assert not np.asarray(seen[0][:, :, 48:]).any()
