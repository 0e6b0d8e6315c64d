import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18
from torchvision.ops import FrozenBatchNorm2d

from sightline.errors import ConfigurationError, ModelFileError
from sightline.models.backbone import build_backbone, load_backbone_weights
from sightline.tasks.instance_segmentation.network import build_detector
from sightline.tasks.instance_segmentation.settings import MaskDetector


def model(backbone, **changes):
    values = {"image_size": 64, "fpn_channels": 16, "anchor_sizes": (8, 16, 32, 64)}
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
    with pytest.raises(ConfigurationError, match=r"model.anchor_sizes: .* resnet18 has 4 levels.* give 4 or 5 sizes"):
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
    with pytest.raises(ConfigurationError, match=f"model.backbone: no backbone called '{name}'.*{nearest}"):
        build_backbone(model(name))


def test_a_timm_model_without_feature_maps_is_refused():
    with pytest.raises(ConfigurationError, match="gives no feature maps at strides 4, 8, 16 and 32"):
        build_backbone(model("timm:mixer_s16_224"))


def test_norms():
    group, batch = (
        {type(module) for module in build_backbone(model(name)).modules()} for name in ("resnet18_gn", "resnet18")
    )
    assert nn.GroupNorm in group
    assert nn.BatchNorm2d not in group
    assert nn.BatchNorm2d in batch
    pretrained = build_backbone(model("resnet18", weights="weights.safetensors"))
    assert any(isinstance(module, FrozenBatchNorm2d) for module in pretrained.modules())


def test_weights_are_loaded_and_a_classifier_is_left_out(tmp_path):
    source = resnet18(weights=None)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    backbone = build_backbone(model("resnet18", weights="weights.safetensors")).eval()
    load_backbone_weights(backbone, tmp_path / "weights.safetensors")
    images = torch.rand(1, 3, 64, 64)
    source.eval()
    stem = source.maxpool(source.relu(source.bn1(source.conv1(images))))
    assert torch.allclose(backbone.body(images)["0"], source.layer1(stem), atol=1e-5)


def test_weights_of_a_timm_model_are_loaded(tmp_path):
    first, second = (build_backbone(model("timm:test_resnet")) for _ in range(2))
    save_file(first.body.network.state_dict(), tmp_path / "weights.safetensors")
    load_backbone_weights(second, tmp_path / "weights.safetensors")
    for name, tensor in first.body.state_dict().items():
        assert torch.equal(tensor, second.body.state_dict()[name]), name


def test_weights_that_do_not_fit_are_refused_with_their_names(tmp_path):
    path = tmp_path / "weights.safetensors"
    tensors = resnet18(weights=None).state_dict()
    tensors["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    del tensors["layer1.0.conv1.weight"]
    save_file(tensors, path)
    with pytest.raises(ModelFileError) as caught:
        load_backbone_weights(build_backbone(model("resnet18", weights="w")), path)
    assert "conv1.weight: [64, 1, 7, 7], expected [64, 3, 7, 7]" in str(caught.value)
    assert "layer1.0.conv1.weight: missing, expected [64, 64, 3, 3]" in str(caught.value)
    assert "2 of 100 tensors" in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"no tensors in here"])
def test_unreadable_weights_are_refused(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"cannot be read|not a safetensors file, or cut off"):
        load_backbone_weights(build_backbone(model("timm:test_resnet")), path)
