import copy

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from sightline.errors import ConfigurationError
from sightline.models.backbone import build_backbone, check_timm, compiled_features
from sightline.tasks.instance_segmentation.network import build_detector
from sightline.tasks.instance_segmentation.settings import MaskDetector
from tests.golden import raises


def model(backbone, **changes):
    values = {"weights": "none", "image_size": 64, "fpn_channels": 16, "anchor_sizes": (8, 16, 32, 64)}
    return MaskDetector(backbone=backbone, **(values | changes))


@pytest.mark.parametrize(
    "name",
    [
        "resnet18_gn",
        "resnet18",
        "timm:test_resnet",  # convolutions
        "timm:mobilenetv3_small_050",  # five feature maps, of which the first is left out
        "timm:swin_s3_tiny_224",  # channels last, and windows laid out for one size
    ],
)
def test_the_pyramid_has_strides_4_to_32(name):
    backbone = build_backbone(model(name))
    features = backbone(torch.zeros(1, 3, 64, 96))
    assert [tuple(feature.shape) for feature in features.values()] == [
        (1, 16, 16, 24),
        (1, 16, 8, 12),
        (1, 16, 4, 6),
        (1, 16, 2, 3),
    ]
    assert list(features) == ["0", "1", "2", "3"]
    assert backbone.out_channels == 16


def test_a_fifth_anchor_size_adds_a_coarser_level():
    features = build_backbone(model("resnet18", anchor_sizes=(8, 16, 32, 64, 128)))(torch.zeros(1, 3, 64, 64))
    assert features["pool"].shape == (1, 16, 1, 1)
    detector = build_detector(model("resnet18", anchor_sizes=(8, 16, 32, 64, 128)), 2).eval()
    assert detector([torch.zeros(3, 64, 64, dtype=torch.uint8)])[0]["boxes"].shape[1] == 4


@pytest.mark.parametrize("sizes", [(8, 16, 32), (8, 16, 32, 64, 128, 256)])
def test_the_number_of_anchor_sizes_must_fit_the_pyramid(sizes):
    with raises(ConfigurationError, "model.anchor_sizes", "resnet18"):
        build_backbone(model("resnet18", anchor_sizes=sizes))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet19", "resnet18"),
        ("resnet50gn", "resnet50_gn"),
        ("timm:convnex_tiny", "timm:convnext_tiny"),
        ("", "timm"),
    ],
)
def test_an_unknown_backbone_names_the_nearest(name, nearest):
    with raises(ConfigurationError, "model.backbone", name, nearest):
        build_backbone(model(name))


def test_a_timm_model_without_feature_maps_is_refused():
    with raises(ConfigurationError):
        build_backbone(model("timm:mixer_s16_224"))


@pytest.mark.parametrize("name", ["timm:hiera_tiny_224", "timm:efficientformerv2_s0"])  # tokens; attention
def test_a_timm_model_for_images_of_one_size_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"model.backbone: {name} cannot compute images of 32 x 64 pixels"):
        check_timm(model(name))


@pytest.mark.parametrize("size", [32, 64, 96])
@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:swin_s3_tiny_224"])
def test_a_timm_model_for_images_of_any_shape_is_accepted(name, size):
    check_timm(model(name, image_size=size))


def test_norms():
    group, batch = (
        {type(module) for module in build_backbone(model(name)).modules()} for name in ("resnet18_gn", "resnet18")
    )
    assert nn.GroupNorm in group
    assert nn.BatchNorm2d not in group
    assert nn.BatchNorm2d in batch
    for weights in ("auto", "weights.safetensors", "ResNet18_Weights.IMAGENET1K_V1"):
        pretrained = {type(module) for module in build_backbone(model("resnet18", weights=weights)).modules()}
        assert FrozenBatchNorm2d in pretrained
        assert nn.BatchNorm2d not in pretrained
    assert nn.BatchNorm2d in {type(module) for module in build_backbone(model("resnet18", weights="")).modules()}


@pytest.fixture
def compiled_by_tracing(monkeypatch):
    """torch.compile without a C++ compiler: the traced operations run as they are; the traces are counted."""
    traces = []

    def backend(graph, inputs):
        traces.append(graph)
        return graph.forward

    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function: compile_(function, backend=backend))
    compiled_features.cache_clear()
    yield traces
    compiled_features.cache_clear()
    torch.compiler.reset()


def test_a_compiled_body_has_the_same_weights_features_and_copies(compiled_by_tracing):
    torch.manual_seed(0)
    plain = build_backbone(model("timm:test_convnext")).train()
    compiled = build_backbone(model("timm:test_convnext", compile=True)).train()
    compiled.load_state_dict(plain.state_dict())  # the same names
    images = torch.rand(2, 3, 64, 64)
    expected = plain(images)
    for level, feature in compiled(images).items():
        assert torch.equal(feature, expected[level])
    assert compiled_by_tracing
    halved = copy.deepcopy(compiled)
    for parameter in halved.parameters():
        parameter.data *= 0.5
    assert not torch.allclose(halved(images)["3"], expected["3"])
    assert torch.equal(compiled(images)["3"], expected["3"])


def test_only_training_is_compiled(compiled_by_tracing):
    backbone = build_backbone(model("timm:test_resnet", compile=True)).eval()
    backbone(torch.rand(1, 3, 64, 64))
    assert not compiled_by_tracing


def test_channels_last_is_another_layout_of_the_same_numbers():
    torch.manual_seed(0)
    plain = build_backbone(model("timm:test_resnet")).eval()
    other = build_backbone(model("timm:test_resnet", channels_last=True)).eval()
    other.load_state_dict(plain.state_dict())
    layouts = []
    other.body.register_forward_pre_hook(
        lambda _, given: layouts.append(given[0].is_contiguous(memory_format=torch.channels_last))
    )
    images = torch.rand(2, 3, 64, 96)
    expected = plain(images)
    for level, feature in other(images).items():
        assert torch.allclose(feature, expected[level], atol=1e-5)
    assert layouts == [True]
