"""Every fault before anything starts: names that other parts know, files that must be there."""

import importlib.util

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from sightline.cli import cli
from sightline.config.decode import decode
from sightline.errors import ConfigurationError
from sightline.runs import resolve
from sightline.runs.configuration_checks import check_configuration
from tests.golden import raises

TAG = "pets_ann_v1"


def faults_of(*overrides, recipe="instance_segmentation"):
    with pytest.raises(ConfigurationError) as caught:
        check_configuration(decode(recipe, ["data.classes=[cat]", *overrides]))
    return str(caught.value).splitlines()[1:]


@pytest.mark.parametrize(
    ("override", "field", "says"),
    [
        ("data.tag=pets", "data.tag: 'pets'", "<dataset>_ann_<version>"),
        ("data.tag=pets_v1", "data.tag: 'pets_v1'", "plates_ann_v1"),
        ("data.tag=a..b_ann_v1", "data.tag: ", "without '..'"),
        ("data.tag=pets_train_v1", "data.tag: pets_train_v1", "set it to pets_ann_v1"),
        ("model.backbone=resnet51", "model.backbone", "resnet50"),
        ("model.backbone=timm:swin_tiny_patch4_window7_223", "model.backbone", "timm:swin_tiny_patch4_window7_224"),
        ("model.backbone=timm:vit_base_patch16_224", "model.backbone", "strides 4, 8, 16 and 32"),
        ("model.anchor_sizes=[32, 64]", "model.anchor_sizes", "4 or 5 sizes"),
        ("model.weights=/none/resnet50.safetensors", "model.weights", "/none/resnet50.safetensors"),
        (
            "model.weights=MaskRCNN_ResNet50_FPN_Weights.COCO_V2",
            "model.weights",
            "MaskRCNN_ResNet50_FPN_Weights.COCO_V1",
        ),
        ("model.weights=imagenet", "model.weights", "ResNet50_Weights.IMAGENET1K_V1"),
        ("model.weights=timm:convnext_tiny.fb_in1k", "model.backbone=resnet50", "weights of another model"),
        ("model.weights_mirror=s3://bucket/weights", "model.weights_mirror", "gs://"),
        ("model.backbone=resnet50_gn", "model.weights", "model.weights=none"),
        ("model.backbone=timm:mobilenetv4_conv_small_035", "model.weights", "timm publishes no weights"),
        ("train.warmup_iterations=20000", "train.warmup_iterations", "train.iterations = 10000"),
        ("train.best_metric=EIR", "train.best_metric", "mask_AP"),
        ("train.best_metric=accuracy", "train.best_metric", "box_AP50"),
        ("evaluate.select_by=[mAP]", "evaluate.select_by", "mask_AP"),
        ("evaluate.select_by=[EIR]", "evaluate.select_by", "reading"),
        ("evaluate.minimum={mAP: 0.1}", "evaluate.minimum", "mask_AP"),
        ("reading=plates", "reading", "r_board"),
        ("storage.uri=s3://bucket", "storage URI", "gs://"),
        ("database.url=postgresql://me@host/db", "database postgresql", "mysql"),
        ("database.url=nonsense", "database URL", "sqlite:////"),
    ],
)
def test_a_fault_names_the_field_and_what_was_expected(override, field, says):
    (fault,) = faults_of(override)
    assert field in fault
    assert says in fault


def test_all_come_in_one_message():
    faults = faults_of("model.backbone=x", "train.warmup_iterations=10001", "evaluate.select_by=[y]", "reading=plates")
    assert len(faults) == 4


def test_resolve_and_a_local_run_name_a_bad_tag_beside_the_other_faults():
    from sightline.runs.local_run import LocalRun

    overrides = ["data.classes=[cat]", "train.best_metric=x"]
    with raises(ConfigurationError, "data.tag", "pets", "train.best_metric"):
        resolve.run("instance_segmentation", "\n".join(overrides), "pets", "")
    with raises(ConfigurationError, "data.tag", "pets"):
        LocalRun.begin("instance_segmentation", [*overrides, "data.tag=pets"], ("test",), entry_point="pipeline.py")


def test_resolve_and_config_check_refuse_the_same():
    overrides = ["data.classes=[cat]", "model.backbone=resnet51", "train.best_metric=x"]
    with pytest.raises(ConfigurationError) as caught:
        resolve.run("instance_segmentation", "\n".join(overrides), TAG, "")
    arguments = [argument for override in overrides for argument in ("--set", override)]
    result = CliRunner().invoke(cli, ["config", "check", "instance_segmentation", *arguments])
    assert str(result.exception) == str(caught.value)
    assert str(caught.value).count("\n") == 2


@pytest.mark.parametrize("recipe", ["plates", "instance_segmentation", "instance_segmentation_small"])
def test_every_recipe_passes(recipe):
    classes = [] if recipe == "plates" else ["data.classes=[cat]"]
    check_configuration(decode(recipe, classes))


def test_weights_are_looked_into(tmp_path):
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    save_file({"conv1.weight": np.zeros((2, 2), np.float32)}, good)
    bad.write_bytes(b"PK\x03\x04 a pickle in a zip archive")
    check_configuration(decode("instance_segmentation", ["data.classes=[cat]", f"model.weights={good}"]))
    check_configuration(decode("instance_segmentation", ["data.classes=[cat]", f"model.weights={bad}"]))
    bad.write_bytes(b"GGUF and so on")
    (fault,) = faults_of(f"model.weights={bad}")
    assert "GGUF" in fault


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.weights=auto"],
        ["model.weights=none", "model.backbone=resnet50_gn"],
        ["model.weights=FasterRCNN_ResNet50_FPN_Weights.COCO_V1"],
        ["model.weights=ResNet50_Weights.IMAGENET1K_V2"],
        ["model.backbone=timm:convnext_tiny"],
        ["model.backbone=timm:convnext_tiny", "model.weights=timm:convnext_tiny.fb_in22k"],
        ["model.weights=champion:pets"],
    ],
)
def test_published_weights_are_known_by_name(overrides):
    check_configuration(decode("instance_segmentation", ["data.classes=[cat]", *overrides]))


def test_an_unknown_tag_of_timm_names_the_nearest():
    (fault,) = faults_of("model.backbone=timm:convnext_tiny", "model.weights=timm:convnext_tiny.fb_in2k")
    assert "fb_in22k" in fault


def test_where_timm_is_not_installed_its_models_are_left_to_train(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "timm" else find(name, *more))
    check_configuration(decode("instance_segmentation", ["data.classes=[cat]", "model.backbone=timm:anything"]))


def test_a_run_on_this_machine_refuses_a_gpu_that_it_has_not(tmp_path):
    import torch

    from sightline.runs.local_run import LocalRun

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    overrides = ["data.classes=[cat]", f"data.tag={TAG}", "train.device=cuda"]
    with raises(ConfigurationError, "train.device=auto"):
        LocalRun.begin("instance_segmentation", overrides, ("train",), entry_point="python pipeline.py")
    assert LocalRun.begin("instance_segmentation", overrides, ("record",), entry_point="python pipeline.py")


def test_without_a_recipe_the_choices_are_named():
    with raises(ConfigurationError, "--recipe", "instance_segmentation_small") as caught:
        resolve.run("", "data.classes=[cat]", TAG, "")
    assert "data.classes" in str(caught.value)
