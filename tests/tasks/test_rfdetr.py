"""RF-DETR as a second family of networks for detection and segmentation."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import distributed
from torch.testing._internal.distributed.fake_pg import FakeStore

from sightline.config.decode import decode, from_json, recipe_document
from sightline.config.digest import config_digest
from sightline.errors import ConfigurationError
from sightline.models.model_file import read_card, save_model
from sightline.models.weights.initialize import load_weights
from sightline.tasks.base import load_predictor, load_task
from sightline.tasks.detection.transformer_settings import RfDetr
from sightline.tasks.instance_segmentation.settings import MaskDetector
from tests.engine.test_loop import Interruption, interrupted_at
from tests.engine.training import run
from tests.golden import raises
from tests.squares import CLASSES as NAMES
from tests.squares import TINY_TRAIN, draw, make_card, make_dataset, write_coco
from tests.tasks.tiny_rfdetr import require_rfdetr, settings, shrink

CPU = torch.device("cpu")
TASKS = ("object_detection", "instance_segmentation")
CLASSES = "data.classes=[cat]"
MASKS = "instance_segmentation"


@pytest.mark.parametrize("task", TASKS)
def test_it_is_chosen_by_name(task, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"task: {task}\nmodel: {{network: rfdetr, size: small, weights: none}}\n")
    config = decode(str(recipe), [CLASSES])
    assert isinstance(config.model, RfDetr)
    assert config.model.size == "small"
    larger = decode(str(recipe), [CLASSES, "model.size=large"])
    assert config_digest("train", config) != config_digest("train", larger)
    assert recipe_document(str(recipe))["model"]["max_detections"] == 100
    assert from_json(config.model_dump_json()) == config


def test_left_out_it_is_the_network_of_before():
    assert type(decode("instance_segmentation", [CLASSES]).model) is MaskDetector


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model={network: yolo}", "rfdetr"),
        ("model={network: rfdetr, size: giant}", "model.size"),
        ("model={network: rfdetr, fpn_channels: 64}", "model.fpn_channels"),
    ],
)
def test_settings_that_it_does_not_have_are_refused(override, named, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("task: object_detection\ntrain: {best_metric: box_AP}\nevaluate: {select_by: [box_AP]}\n")
    with raises(ConfigurationError, named):
        decode(str(recipe), [CLASSES, override])


def make_batch(folder):
    """Two samples, one of them without objects."""
    full, empty = (make_dataset(folder, 2, augmentation=()).sample(index, 1) for index in range(2))
    return [full, replace(empty, labels=empty.labels[:0], boxes_xyxy=empty.boxes_xyxy[:0], segmentations=[])]


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_it_is_trained_by_the_losses_of_its_criterion(name, tmp_path):
    require_rfdetr()
    task = load_task(name)
    network = task.build_network(settings(name), 2).train()
    losses = task.losses(network, make_batch(tmp_path), CPU)
    sum(losses.values()).backward()
    masks = {"mask_ce", "mask_dice"} if name == MASKS else set()
    assert set(losses) == {"ce", "bbox", "giou"} | masks
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    without = [name for name, one in network.named_parameters() if one.grad is None]
    assert without == ["network.backbone.0.encoder.encoder.embeddings.mask_token"]  # for pretraining of DINOv2 only


@pytest.fixture
def tiny(monkeypatch):
    """Builds a tiny RF-DETR with its task; its boxes and scores differ, unless ``untouched``."""
    require_rfdetr()
    shrink(monkeypatch)

    def build(name, num_classes=2, *, untouched=False, **changes):
        torch.manual_seed(0)
        task = load_task(name)
        network = task.build_network(settings(name, **changes), num_classes)
        if untouched:
            return task, network
        for layer, tensor in network.state_dict().items():
            if "bbox_embed" in layer or "class_embed" in layer:
                tensor.add_(torch.randn(tensor.shape) * 0.05)
        return task, network

    return build


@pytest.mark.parametrize("name", TASKS)
def test_its_model_file_predicts_what_it_predicts(name, tiny, tmp_path):
    task, network = tiny(name)
    model = settings(name)
    save_model(tmp_path / "m.safetensors", network, make_card(model, task=name))
    assert read_card(tmp_path / "m.safetensors").architecture == model
    image, _ = draw(0)
    expected = task.predictor(network, make_card(model, task=name), CPU).predict(image)
    found = load_predictor(tmp_path / "m.safetensors", "cpu").predict(image, 1)
    assert len(found) >= 5
    assert np.array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    assert found.masks == expected.masks
    assert set(found.category_ids.tolist()) <= {1, 2}
    assert (found.masks is None) == (name == "object_detection")
    assert set(task.evaluate(write_coco(tmp_path, 1), [found]))


def losses_with(network, task, batch, seed):
    torch.manual_seed(seed)
    before = torch.get_rng_state()
    losses = task.losses(network, batch, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    return {name: loss.item() for name, loss in losses.items()}


def test_its_random_points_follow_from_the_seeds_of_the_samples(tiny, tmp_path):
    task, network = tiny(MASKS)
    batch = make_batch(tmp_path)
    expected = losses_with(network.train(), task, batch, 1)
    assert losses_with(network, task, batch, 2) == expected
    other = [replace(sample, seed=sample.seed + 1) for sample in batch]
    assert losses_with(network, task, other, 1)["mask_ce"] != expected["mask_ce"]


def test_its_losses_do_not_ask_other_processes(tiny, tmp_path):
    task, network = tiny(MASKS)
    batch = make_batch(tmp_path)
    expected = losses_with(network.train(), task, batch, 1)
    distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        assert losses_with(network, task, batch, 1) == expected
    finally:
        distributed.destroy_process_group()


def test_a_model_with_other_classes_and_image_size_keeps_what_fits(tiny, tmp_path):
    name = "object_detection"
    task, network = tiny(name)
    save_model(tmp_path / "m.safetensors", network, make_card(settings(name), task=name))
    model = settings(name, image_size=128, weights=str(tmp_path / "m.safetensors"))
    task, larger = tiny(name, 3, image_size=128)
    loaded = load_weights(larger, model, ["disc", "new", "ring"], task.class_rows, cache=tmp_path / "unused")
    assert loaded.kept_classes == ("disc",)
    assert loaded.named("re-initialized") == []
    old, new = (one.network.class_embed.weight for one in (network, larger))
    assert torch.equal(new[1], old[NAMES.index("disc") + 1])
    positions = "network.backbone.0.encoder.encoder.embeddings.position_embeddings"
    assert positions in loaded.named("loaded")
    assert larger.state_dict()[positions].shape[1] == 1 + (128 // 16) ** 2


FOUR_ITERATIONS = TINY_TRAIN.model_copy(update={"iterations": 4, "validate_every": 4})
_WHOLE = """
import sys
from pathlib import Path

import pytest
import torch

from tests.tasks.test_rfdetr import FOUR_ITERATIONS, MASKS, load_task, run
from tests.tasks.tiny_rfdetr import settings, shrink

shrink(pytest.MonkeyPatch())
torch.manual_seed(0)
run(Path(sys.argv[1]), FOUR_ITERATIONS, network=load_task(MASKS).build_network(settings(MASKS), 2))
"""


@pytest.mark.slow
def test_an_interrupted_training_goes_on_to_the_weights_of_a_new_process(tiny, tmp_path):
    subprocess.run([sys.executable, "-c", _WHOLE, tmp_path / "whole"], check=True)

    def train(name, **changes):
        torch.manual_seed(0)
        run(tmp_path / name, FOUR_ITERATIONS, network=load_task(MASKS).build_network(settings(MASKS), 2), **changes)

    train("before")  # PyTorch optimizes functions of TorchScript when they have been called
    with pytest.raises(Interruption):
        train("cut", task=interrupted_at(4))
    train("cut")
    whole, cut = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(cut[name], tensor) for name, tensor in whole.items())


def test_the_package_does_not_raise_the_limit_for_images():
    require_rfdetr()
    program = (
        "import sys\nfrom PIL import Image\nfrom sightline.models.rfdetr_package import package_settings\n"
        "limit = Image.MAX_IMAGE_PIXELS\npackage_settings('nano', masks=False)\n"
        "assert 'rfdetr.datasets.o365' in sys.modules\nassert Image.MAX_IMAGE_PIXELS == limit\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
