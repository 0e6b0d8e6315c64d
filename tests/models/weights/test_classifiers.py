"""Weights of a classifier: of timm and torchvision, of a Sightline model with other label sets, and their names."""

import pytest
import timm
import torch
from torchvision.models import resnet

from sightline.errors import ConfigurationError, ModelFileError
from sightline.models.model_file import save_model
from sightline.models.weights.check import check_weights
from sightline.models.weights.initialize import load_weights
from sightline.tasks.base import load_task
from sightline.tasks.classification.settings import Cnn, TimmClassifier
from tests.classified import ONE_SET, SEVERAL, class_names, make_card, write_coco

HEAD = ["head.weight", "head.bias"]


@pytest.fixture(scope="module")
def task():
    return load_task("classification")


def load(task, model, sets, folder):
    model = task.fitted(model, write_coco(folder / "images", 2, sets=sets))
    names = class_names(sets)
    torch.manual_seed(0)
    network = task.build_network(model, len(names))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    table = load_weights(network, model, names, task.class_rows, cache=folder / "cache")
    return before, network, table


@pytest.mark.parametrize(
    ("backbone", "publish", "unused"),
    [
        ("test_efficientnet", lambda: timm.create_model("test_efficientnet"), ["classifier.weight", "classifier.bias"]),
        ("resnet18", resnet.resnet18, ["fc.weight", "fc.bias"]),
    ],
)
def test_a_published_body_is_loaded_and_the_heads_are_new(task, backbone, publish, unused, tmp_path):
    torch.manual_seed(7)
    published = publish().state_dict()
    torch.save(published, tmp_path / "weights.pth")
    model = TimmClassifier(backbone=backbone, weights=str(tmp_path / "weights.pth"), image_size=64)
    before, network, table = load(task, model, SEVERAL, tmp_path)
    assert table.named("re-initialized") == HEAD
    assert table.named("partly loaded") == []
    assert [name.removeprefix("backbone.body.") for name in table.named("unused")] == unused
    after = network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in HEAD)
    for name, tensor in network.backbone["body"].state_dict().items():
        assert torch.equal(tensor, published[name]), name


def test_weights_of_another_network_are_refused(task, tmp_path):
    torch.save(resnet.resnet18().state_dict(), tmp_path / "weights.pth")
    model = TimmClassifier(backbone="test_efficientnet", weights=str(tmp_path / "weights.pth"), image_size=64)
    with pytest.raises(ModelFileError) as caught:
        load(task, model, ONE_SET, tmp_path)
    assert "use weights of the timm model given by model.backbone" in str(caught.value)


def test_heads_of_classes_with_the_same_name_are_kept(task, tmp_path):
    model = task.fitted(Cnn(image_size=64, width=8, stages=2), write_coco(tmp_path / "old", 2, sets=SEVERAL))
    torch.manual_seed(3)
    old = task.build_network(model, 7)
    save_model(tmp_path / "old.safetensors", old, make_card(model, SEVERAL))
    images = write_coco(tmp_path / "images", 2, sets={"colour": SEVERAL["colour"], "shape": SEVERAL["shape"]})
    started = task.fitted(model.model_copy(update={"weights": str(tmp_path / "old.safetensors")}), images)
    torch.manual_seed(4)
    network = task.build_network(started, 5)
    before = network.head.weight.clone()
    names = ("colour/red", "colour/blue", "colour/green", "size/small", "size/large")
    table = load_weights(network, started, names, task.class_rows, cache=tmp_path / "cache")
    assert table.kept_classes == names[:3]
    assert torch.equal(network.head.weight[:3], old.head.weight[2:5])
    assert torch.equal(network.head.weight[3:], before[3:])
    assert set(table.named("partly loaded")) == set(HEAD)


def test_names_of_published_weights():
    assert TimmClassifier(backbone="resnet50").published_weights == "ResNet50_Weights.IMAGENET1K_V1"
    assert TimmClassifier(backbone="efficientnet_b1").published_weights == "timm:efficientnet_b1"
    assert TimmClassifier().backbone == "timm:efficientnet_b0"
    for weights in ("auto", "none", "timm:efficientnet_b0.ra_in1k", "./w.pth", "champion:tyres"):
        check_weights(TimmClassifier(weights=weights))
    with pytest.raises(ConfigurationError) as caught:
        check_weights(TimmClassifier(weights="timm:resnet50.a1_in1k"))
    assert "weights of another model than model.backbone" in str(caught.value)
    check_weights(Cnn())
    with pytest.raises(ConfigurationError) as caught:
        check_weights(Cnn(weights="auto"))
    assert "no weights are published for this network" in str(caught.value)
