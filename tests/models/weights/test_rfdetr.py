"""RF-DETR: its published weights give the same outputs here as with its package."""

import argparse
import hashlib

import pytest
import torch

from sightline.config.published_weights import rfdetr_names
from sightline.errors import ConfigurationError, ModelFileError, StepError
from sightline.models.rfdetr_package import package_settings, quiet_package
from sightline.models.weights.check import chosen_name
from sightline.models.weights.initialize import load_weights
from sightline.models.weights.rfdetr_files import rfdetr_file
from sightline.models.weights.sources import detector_classes
from sightline.models.weights.stored import cached_weights
from sightline.tasks.base import load_task
from sightline.tasks.instance_segmentation.settings import MaskDetector
from tests.golden import raises
from tests.models.weights.published import difference
from tests.tasks.tiny_rfdetr import require_rfdetr, settings

NAMES = {"object_detection": "rfdetr:nano", "instance_segmentation": "rfdetr:seg-nano"}
PUBLISHED_SIZE = 144
SIZE = 96  # another one, so that the position embeddings are resized


@pytest.fixture(autouse=True)
def _package():
    require_rfdetr()


def offer(monkeypatch, path, url=None, md5=None):
    """Let all files that the package knows be this one."""
    with quiet_package():
        from rfdetr.assets.model_weights import ModelWeightAsset, ModelWeights

    md5 = md5 or hashlib.md5(path.read_bytes()).hexdigest()
    asset = ModelWeightAsset(path.name, url or path.as_uri(), md5)
    monkeypatch.setattr(ModelWeights, "from_filename", classmethod(lambda _, name: asset))


def package_network(size, *, masks, weights="none"):
    """The package's own network with 90 classes, and its settings."""
    kind = package_settings("nano", masks=masks)
    with quiet_package():
        from rfdetr import config
        from rfdetr.models.lwdetr import build_model_from_config

        own = kind(
            pretrain_weights=weights,
            device="cpu",
            num_classes=90,
            resolution=size,
            positional_encoding_size=size // kind.model_fields["patch_size"].default,
        )
        training = config.SegmentationTrainConfig if masks else config.TrainConfig
        return build_model_from_config(own, training(dataset_dir=".", output_dir=".")), own


def checkpoint(path, *, masks):
    """Write a checkpoint in the form in which the package publishes it; gives its tensors."""
    torch.manual_seed(0)
    tensors = package_network(PUBLISHED_SIZE, masks=masks)[0].state_dict()
    gaps = [label for label, name in enumerate(detector_classes("rfdetr:nano"), start=1) if name == "N/A"]
    for name, tensor in tensors.items():
        if "class_embed" in name:
            tensor.mul_(3)  # so that scores differ
            tensor[gaps] = -100.0 if name.endswith("bias") else 0.0  # they have no object to detect
        elif "bbox_embed" in name:
            tensor.add_(torch.randn(tensor.shape) * 0.01)  # the last layer of a new network is zero
    torch.save({"model": tensors, "args": argparse.Namespace(num_queries=None), "epoch": 3}, path)
    return tensors


def outputs(network, images):
    from rfdetr.utilities.tensors import NestedTensor

    with torch.inference_mode():
        return network.eval()(NestedTensor(images, torch.zeros(1, SIZE, SIZE, dtype=torch.bool)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_published_weights_give_the_outputs_of_the_package(name, monkeypatch, tmp_path):
    masks = name == "instance_segmentation"
    tensors = checkpoint(tmp_path / "published.pth", masks=masks)
    offer(monkeypatch, tmp_path / "published.pth")
    task, model = load_task(name), settings(name, weights="auto", image_size=SIZE)
    classes = [known for known in detector_classes(NAMES[name]) if known != "N/A"]
    ours = task.build_network(model, len(classes))
    loaded = load_weights(ours, model, classes, task.class_rows, cache=tmp_path / "cache")
    assert (loaded.source, loaded.kept_classes) == (NAMES[name], tuple(classes))
    assert loaded.named("re-initialized") == loaded.named("unused") == []

    theirs, own = package_network(SIZE, masks=masks, weights=str(tmp_path / "published.pth"))
    with quiet_package():
        from rfdetr.models.weights import load_pretrain_weights

        load_pretrain_weights(theirs, own)
    images = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    expected, found = outputs(theirs, images), outputs(ours.network, images)
    rows = [0, *(label for label, known in enumerate(detector_classes(NAMES[name]), start=1) if known != "N/A")]
    assert len(rows) == 81
    expected["pred_logits"] = expected["pred_logits"][..., rows]
    for part in ("pred_logits", "pred_boxes", *(["pred_masks"] if masks else [])):
        assert difference(found[part], expected[part]) < 1e-6

    # A file of the publisher is recognized by its digest, whatever its name; other classes keep their rows.
    (tmp_path / "published.pth").rename(tmp_path / "mine.pth")
    model = settings(name, weights=str(tmp_path / "mine.pth"), image_size=SIZE)
    fresh = task.build_network(model, 2)
    loaded = load_weights(fresh, model, ["plate", "cat"], task.class_rows, cache=tmp_path / "unused")
    assert (loaded.source, loaded.kept_classes) == (model.weights, ("cat",))
    for layer in ("class_embed", "transformer.enc_out_class_embed.12"):
        row = fresh.network.get_submodule(layer).weight[2]
        assert torch.equal(row, tensors[f"{layer}.weight"][17])


def test_a_damaged_download_is_refused_and_removed(monkeypatch, tmp_path):
    tensors = {"class_embed.bias": torch.zeros(91)}
    torch.save({"model": tensors, "args": argparse.Namespace(lr=1e-4)}, tmp_path / "published.pth")
    offer(monkeypatch, tmp_path / "published.pth", md5="0" * 32)
    with raises(ModelFileError, "the download is damaged", "0" * 32):
        cached_weights("rfdetr:nano", tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["nano"]  # the lock
    offer(monkeypatch, tmp_path / "published.pth")
    assert cached_weights("rfdetr:nano", tmp_path / "cache").is_file()


def test_without_a_network_the_ways_out_are_named(monkeypatch, tmp_path):
    offer(monkeypatch, tmp_path / "w.pth", "http://127.0.0.1:9/w.pth", md5="0" * 32)  # nothing listens there
    with raises(StepError, "sightline model mirror rfdetr:nano gs://", "model.weights_mirror", "model.weights=none"):
        cached_weights("rfdetr:nano", tmp_path / "cache")


def test_every_size_has_a_file_of_its_own():
    files = [rfdetr_file(name) for name in rfdetr_names()]
    assert len({(file.url, file.md5_hash) for file in files}) == len(files) == 8
    assert all(len(file.md5_hash) == 32 for file in files)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (settings("object_detection", weights="auto"), "rfdetr:nano"),
        (settings("instance_segmentation", weights="auto", size="large"), "rfdetr:seg-large"),
        (settings("object_detection", weights="rfdetr:small"), "rfdetr:small"),
    ],
)
def test_the_name_follows_from_task_and_size(model, name):
    assert chosen_name(model) == name


@pytest.mark.parametrize(
    "model",
    [
        settings("object_detection", weights="rfdetr:giant"),
        settings("object_detection", weights="ResNet18_Weights.IMAGENET1K_V1"),
        MaskDetector(weights="rfdetr:seg-nano"),
    ],
)
def test_weights_of_another_network_are_refused(model):
    with raises(ConfigurationError, "model.weights", model.weights):
        chosen_name(model)
