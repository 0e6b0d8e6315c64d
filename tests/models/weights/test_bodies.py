"""Bodies of torchvision and timm: their weights give the same features here; weights of another body are refused."""

import re

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18
from torchvision.ops import FrozenBatchNorm2d

from sightline.errors import ModelFileError
from sightline.models.model_file import save_model
from sightline.models.weights.initialize import load_weights
from sightline.models.weights.naming import without_epsilon
from sightline.tasks.base import load_model, load_task
from sightline.tasks.instance_segmentation.settings import MaskDetector
from tests.golden import raises
from tests.models.weights.published import difference, publish, randomize
from tests.squares import CLASSES, TINY_MODEL, make_card

TASK = load_task("instance_segmentation")
RESNET = "ResNet18_Weights.IMAGENET1K_V1"


def settings(backbone, weights, **changes):
    small = TINY_MODEL.model_dump() | {"anchor_sizes": (8, 16, 32, 64), "mask_layers": 1}
    return MaskDetector(**small | {"backbone": backbone, "weights": str(weights), **changes})


def loaded(model, cache):
    torch.manual_seed(0)
    network = TASK.build_network(model, len(CLASSES)).eval()
    return network, load_weights(network, model, CLASSES, TASK.class_rows, cache=cache)


def images(size=64):
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_imagenet_weights_of_torchvision_fill_a_frozen_body(monkeypatch, tmp_path):
    theirs = randomize(resnet18(weights=None)).eval()
    publish(monkeypatch, RESNET, theirs.state_dict(), tmp_path / "publisher")
    network, table = loaded(settings("resnet18", "auto"), tmp_path / "cache")
    with torch.inference_mode():
        stem = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images()))))
        features = network.backbone.body(images())
        for level, layer in enumerate((theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4)):
            stem = layer(stem)
            assert difference(features[str(level)], stem) < 1e-6
    assert any(isinstance(module, FrozenBatchNorm2d) for module in network.modules())
    assert table.source == RESNET
    assert set(table.named("unused")) == {"backbone.body.fc.weight", "backbone.body.fc.bias"}
    # The model file says "auto", and is loaded without the weights.
    save_model(tmp_path / "model.safetensors", network, make_card(settings("resnet18", "auto")))
    again, _ = load_model(tmp_path / "model.safetensors")
    with torch.inference_mode():
        assert torch.equal(again.backbone(images())["0"], network.backbone(images())["0"])


def of_microsoft(tensors):
    """The names in the files of Swin's authors: a stage ends with the downsampling that begins the next one in timm."""
    return {
        re.sub(r"layers\.(\d+)\.downsample", lambda match: f"layers.{int(match[1]) - 1}.downsample", name)
        .replace("head.fc.", "head."): tensor
        for name, tensor in tensors.items()
    } | {"layers.0.blocks.1.attn_mask": torch.zeros(64, 49, 49)}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rename"),
    [
        ("test_resnet", dict),
        ("test_convnext", dict),
        ("test_efficientnet", dict),
        ("mobilenetv4_conv_small_050", dict),
        ("swin_tiny_patch4_window7_224", of_microsoft),
    ],
)
def test_features_are_those_of_timm(name, rename, tmp_path):
    torch.manual_seed(1)
    theirs = randomize(timm.create_model(name)).eval()
    save_file(
        rename({key: tensor.contiguous() for key, tensor in theirs.state_dict().items()}), tmp_path / "w.safetensors"
    )
    network, table = loaded(settings(f"timm:{name}", tmp_path / "w.safetensors", image_size=224), tmp_path / "cache")
    with torch.inference_mode():
        expected = theirs.forward_intermediates(images(224), intermediates_only=True)
        found = list(network.backbone.body(images(224)).values())
    by_size = {feature.shape[-1]: feature for feature in expected}  # the last one of each size is a feature map
    assert [feature.shape[-1] for feature in found] == [56, 28, 14, 7]
    for feature in found:
        assert difference(feature, by_size[feature.shape[-1]]) < 1e-6
    assert not any(name.startswith("backbone.body.") for name in table.named("re-initialized"))


def test_loading_leaves_the_random_numbers_alone(tmp_path):
    save_file(timm.create_model("test_convnext").state_dict(), tmp_path / "w.safetensors")
    model = settings("timm:test_convnext", tmp_path / "w.safetensors")
    network = TASK.build_network(model, 2)
    before = torch.random.get_rng_state()
    load_weights(network, model, CLASSES, TASK.class_rows, cache=tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_feature_maps_of_timm_are_loaded_by_their_own_names(tmp_path):
    source = TASK.build_network(settings("timm:test_convnext", "none"), 2)
    save_file(source.backbone.body.network.state_dict(), tmp_path / "w.safetensors")
    network, _ = loaded(settings("timm:test_convnext", tmp_path / "w.safetensors"), tmp_path)
    for name, tensor in source.backbone.body.state_dict().items():
        assert torch.equal(tensor, network.backbone.body.state_dict()[name]), name


@pytest.mark.parametrize("kind", ["wrapped", "data parallel", "plain"])
def test_checkpoints_of_training_programs_are_read(kind, tmp_path):
    tensors = randomize(resnet18(weights=None)).state_dict()
    content = {
        "plain": tensors,
        "wrapped": {"model": tensors, "epoch": 3, "arguments": {"lr": 0.1}},
        "data parallel": {f"module.{name}": tensor for name, tensor in tensors.items()},
    }[kind]
    torch.save(content, tmp_path / "w.pth")
    network, _ = loaded(settings("resnet18", tmp_path / "w.pth"), tmp_path)
    assert torch.equal(network.backbone.body.conv1.weight, tensors["conv1.weight"])


def test_weights_that_do_not_fit_are_refused_with_their_names(tmp_path):
    tensors = resnet18(weights=None).state_dict()
    tensors["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    del tensors["layer1.0.conv1.weight"]
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(ModelFileError) as caught:
        loaded(settings("resnet18", tmp_path / "w.safetensors"), tmp_path)
    assert "conv1.weight: [64, 1, 7, 7], expected [64, 3, 7, 7]" in str(caught.value)
    assert "layer1.0.conv1.weight: missing, expected [64, 64, 3, 3]" in str(caught.value)
    assert "2 of 100 tensors" in str(caught.value)


def test_weights_of_another_timm_model_are_refused(tmp_path):
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    with raises(ModelFileError, "w.safetensors", "fc.weight"):
        loaded(settings("timm:test_convnext", tmp_path / "w.safetensors"), tmp_path)


def test_a_missing_tensor_of_a_timm_model_is_not_left_random(tmp_path):
    tensors = timm.create_model("test_convnext").state_dict()
    del tensors["stages.1.blocks.0.conv_dw.weight"]
    save_file(tensors, tmp_path / "w.safetensors")
    with raises(ModelFileError, "w.safetensors", "lack 1 tensor", "blocks.0.conv_dw.weight"):
        loaded(settings("timm:test_convnext", tmp_path / "w.safetensors"), tmp_path)


def test_a_file_of_a_detector_does_not_fit_a_timm_body(tmp_path):
    save_file({"backbone.body.conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelFileError, match="tensors do not match the backbone"):
        loaded(settings("timm:test_resnet", tmp_path / "w.safetensors"), tmp_path)


def test_an_epsilon_of_zero_becomes_part_of_the_weights():
    variance = torch.tensor([1.0, 1e-2, 1e-5, 1e-9])  # the last ones are smaller than the epsilon
    norm = {"bn.weight": torch.tensor([1.0, 0.5, -2.0, 1e-3]), "bn.running_var": variance}
    changed = without_epsilon(norm | {"conv.weight": torch.ones(1)})
    expected = norm["bn.weight"] / variance.sqrt()
    found = changed["bn.weight"] / (changed["bn.running_var"] + 1e-5).sqrt()
    assert torch.allclose(found, expected, rtol=1e-6, atol=0)
    assert torch.equal(changed["conv.weight"], torch.ones(1))
